import assert from "node:assert/strict";
import type { DeviceRule } from "../spec/spec.ts";
import { NO_LIMIT } from "./stats.ts";
import { cpusetStats } from "./v1/cpuset.ts";
import { FakeCgroup } from "./testing/fake_cgroup.ts";
import { applyBlkio, blkioStats, parseEntries } from "./v1/blkio.ts";
import { applyCpu, cpuStats } from "./v1/cpu.ts";
import { applyDevices, formatRule } from "./v1/devices.ts";
import { isFrozen, setFrozen } from "./v1/freezer.ts";
import { applyHugetlb, hugetlbStats } from "./v1/hugetlb.ts";
import { applyMemory, memoryStats } from "./v1/memory.ts";
import { applyNetClass, applyNetPriorities } from "./v1/network.ts";

const MIB = 1 << 20;

Deno.test("applyCpu() on v1 writes shares, quota, period and real time", () => {
  const names = ["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.rt_runtime_us"];
  using cgroup = new FakeCgroup(Object.fromEntries(names.map((name) => [name, ""])));
  applyCpu(cgroup.path, { shares: 100, quota: -5, period: 50_000, realtimeRuntime: 9 });
  assert.deepEqual(names.map((name) => cgroup.read(name)), ["100", "-1", "50000", "9"]);
});

Deno.test("applyMemory() on v1 lifts the limit of the sum with that of memory", () => {
  using cgroup = new FakeCgroup({ "memory.limit_in_bytes": "", "memory.memsw.limit_in_bytes": "" });
  applyMemory(cgroup.path, { limit: -1 });
  assert.equal(cgroup.read("memory.memsw.limit_in_bytes"), "-1");
});

Deno.test("applyMemory() on v1 passes over what the kernel no longer has", () => {
  using cgroup = new FakeCgroup({ "memory.limit_in_bytes": "", "memory.swappiness": "", "memory.oom_control": "" });
  applyMemory(cgroup.path, { limit: MIB, kernel: MIB, swappiness: 60, disableOOMKiller: true });
  assert.deepEqual(
    ["memory.limit_in_bytes", "memory.swappiness", "memory.oom_control"].map((file) => cgroup.read(file)),
    [String(MIB), "60", "1"],
  );
});

Deno.test.each<{ rule: DeviceRule; text: string }>([
  { rule: { allow: false, access: "rwm" }, text: "a" },
  { rule: { allow: true, type: "c", major: 1, minor: 3, access: "rw" }, text: "c 1:3 rw" },
  { rule: { allow: true, type: "b", major: 8 }, text: "b 8:* rwm" },
  { rule: { allow: true, type: "u", major: -1, minor: 5, access: "m" }, text: "c *:5 m" },
])("formatRule() is $text", ({ rule, text }) => assert.equal(formatRule(rule), text));

Deno.test("applyDevices() on v1 writes denials and permissions into their files", () => {
  using cgroup = new FakeCgroup({ "devices.allow": "", "devices.deny": "" });
  applyDevices(cgroup.path, [{ allow: false }, { allow: true, type: "c", major: 1, minor: 3 }]);
  assert.deepEqual([cgroup.read("devices.deny"), cgroup.read("devices.allow")], ["a", "c 1:3 rwm"]);
});

Deno.test("applyDevices() on v1 never allows all devices by a rule for both kinds that says less", () => {
  for (const rule of [{ major: 10, minor: 200 }, { access: "r" }, { major: 10 }] as const) {
    using cgroup = new FakeCgroup({ "devices.allow": "", "devices.deny": "" });
    applyDevices(cgroup.path, [{ allow: true, type: "a", ...rule }]);
    const { major = "*", minor = "*", access = "rwm" } = {
      major: undefined,
      minor: undefined,
      access: undefined,
      ...rule,
    };
    assert.equal(cgroup.read("devices.allow"), `c ${major}:${minor} ${access}`);
  }
});

Deno.test("applyBlkio() writes weights and throttles", () => {
  const names = ["blkio.weight", "blkio.weight_device", "blkio.throttle.write_bps_device"];
  using cgroup = new FakeCgroup(Object.fromEntries(names.map((name) => [name, ""])));
  applyBlkio(cgroup.path, {
    weight: 300,
    weightDevice: [{ major: 8, minor: 0, weight: 400 }],
    throttleWriteBpsDevice: [{ major: 8, minor: 16, rate: 1024 }],
  });
  assert.deepEqual(names.map((name) => cgroup.read(name)), ["300", "8:0 400", "8:16 1024"]);
});

Deno.test("parseEntries() reads lines with and without a direction, and not the total", () => {
  assert.deepEqual(parseEntries("8:0 Read 5\n8:0 12\nTotal 17\n"), [
    { major: 8n, minor: 0n, op: "Read", value: 5n },
    { major: 8n, minor: 0n, op: "", value: 12n },
  ]);
});

Deno.test("applyHugetlb(), applyNetClass() and applyNetPriorities() write their files", () => {
  using cgroup = new FakeCgroup({ "hugetlb.2MB.limit_in_bytes": "", "net_cls.classid": "", "net_prio.ifpriomap": "" });
  applyHugetlb(cgroup.path, [{ pageSize: "2MB", limit: 6 }]);
  applyNetClass(cgroup.path, { classID: 0x100001 });
  applyNetPriorities(cgroup.path, { priorities: [{ name: "eth0", priority: 4 }] });
  const files = ["hugetlb.2MB.limit_in_bytes", "net_cls.classid", "net_prio.ifpriomap"];
  assert.deepEqual(files.map((file) => cgroup.read(file)), ["6", "1048577", "eth0 4"]);
});

Deno.test("isFrozen() on v1 is false while the kernel is still at it", () => {
  using cgroup = new FakeCgroup({ "freezer.state": "FREEZING\n" });
  assert.ok(!isFrozen(cgroup.path));
  setFrozen(cgroup.path, { frozen: true });
  // FROZEN and the rest of FREEZING: an ordinary file keeps what is not overwritten.
  assert.match(cgroup.read("freezer.state"), /^FROZEN/);
});

Deno.test("Stats on v1 are read from the files of each controller", () => {
  using cgroup = new FakeCgroup({
    "cpu.stat": "nr_periods 4\nnr_throttled 2\nthrottled_time 7\n",
    "cpuacct.usage": "500",
    "cpuacct.usage_percpu": "200 300 \n",
    "cpuacct.usage_all": "cpu user system\n0 150 50\n1 260 40\n",
    "cpuacct.stat": "user 3\nsystem 1\n",
    "memory.usage_in_bytes": "100",
    "memory.max_usage_in_bytes": "120",
    "memory.failcnt": "2",
    "memory.limit_in_bytes": "9223372036854771712",
    "memory.kmem.tcp.failcnt": "6",
    "memory.memsw.limit_in_bytes": "4096",
    "memory.use_hierarchy": "1",
    "memory.stat": "cache 40\nrss 60\n",
    "blkio.throttle.io_service_bytes_recursive": "8:0 Read 1\nTotal 1\n",
    "hugetlb.2MB.usage_in_bytes": "2",
    "hugetlb.2MB.max_usage_in_bytes": "3",
    "hugetlb.2MB.failcnt": "4",
    "cpuset.cpus": "0-2,5\n",
    "cpuset.mems": "0\n",
    "cpuset.cpu_exclusive": "1\n",
    "cpuset.sched_relax_domain_level": "-1\n",
  });
  const { path } = cgroup;
  const cpu = cpuStats(path, path);
  assert.deepEqual([cpu.total, cpu.user, cpu.system, cpu.perCpu], [500n, 30_000_000n, 10_000_000n, [200n, 300n]]);
  assert.deepEqual([cpu.perCpuUser, cpu.perCpuSystem], [[150n, 260n], [50n, 40n]]);
  const { cpus, mems, cpu_exclusive, sched_relax_domain_level } = cpusetStats(path);
  assert.deepEqual([cpus, mems, cpu_exclusive, sched_relax_domain_level], [[0, 1, 2, 5], [0], 1n, -1n]);
  assert.deepEqual(cpu.throttling, { periods: 4n, throttledPeriods: 2n, throttledTime: 7n });
  const memory = memoryStats(path);
  assert.deepEqual(memory.usage, { usage: 100n, maxUsage: 120n, failures: 2n, limit: 2n ** 63n - 4096n });
  assert.deepEqual(memory.kernelTcp, { usage: 0n, maxUsage: 0n, failures: 6n, limit: NO_LIMIT });
  assert.deepEqual([memory.swap.limit, memory.cache, memory.useHierarchy], [4096n, 40n, true]);
  assert.deepEqual(blkioStats(path).serviceBytes.map(({ value }) => value), [1n]);
  assert.deepEqual(hugetlbStats(path, ["2MB"]), new Map([["2MB", { usage: 2n, maxUsage: 3n, failures: 4n }]]));
});
