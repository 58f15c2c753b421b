import assert from "node:assert/strict";
import type { BlockIoResources, CpuResources, MemoryResources } from "../spec/spec.ts";
import { NO_LIMIT } from "./stats.ts";
import { CgroupV2 } from "./v2.ts";
import { FakeCgroup } from "./testing/fake_cgroup.ts";
import { applyCpu, cpuStats, cpuWeight } from "./v2/cpu.ts";
import { applyCpuset } from "./v2/cpuset.ts";
import { bpfRules } from "./v2/devices.ts";
import { applyHugetlb, hugePageSizes, hugetlbStats } from "./v2/hugetlb.ts";
import { applyIo, ioStats, ioWeight } from "./v2/io.ts";
import { applyMemory, memoryStats, swapMax } from "./v2/memory.ts";
import { applyPids, pidsStats } from "./v2/pids.ts";
import { applyRdma } from "./v2/rdma.ts";

const MIB = 1 << 20;

Deno.test.each([
  { shares: 0n, weight: 1n },
  { shares: 2n, weight: 1n },
  { shares: 3n, weight: 2n },
  { shares: 256n, weight: 35n },
  { shares: 512n, weight: 59n },
  { shares: 1024n, weight: 100n },
  { shares: 2048n, weight: 174n },
  { shares: 262143n, weight: 10000n },
  { shares: 262144n, weight: 10000n },
  { shares: 2n ** 40n, weight: 10000n },
])("runk v2a: cpuWeight($shares) is $weight", ({ shares, weight }) => assert.equal(cpuWeight(shares), weight));

Deno.test.each<{ cpu: CpuResources; max: string }>([
  { cpu: { quota: 50_000, period: 100_000 }, max: "50000 100000" },
  { cpu: { quota: -1, period: 100_000 }, max: "max 100000" },
  { cpu: { quota: 50_000 }, max: "50000" },
  { cpu: { period: 20_000 }, max: "max 20000" },
  { cpu: {}, max: "" },
])("applyCpu() on v2 writes $max for $cpu", ({ cpu, max }) => {
  using cgroup = new FakeCgroup({ "cpu.max": "", "cpu.weight": "" });
  applyCpu(cgroup.path, cpu);
  assert.equal(cgroup.read("cpu.max"), max);
});

Deno.test("applyCpuset() writes what is given", () => {
  using cgroup = new FakeCgroup({ "cpuset.cpus": "", "cpuset.mems": "" });
  applyCpuset(cgroup.path, { cpus: "0-3", mems: "" });
  assert.deepEqual([cgroup.read("cpuset.cpus"), cgroup.read("cpuset.mems")], ["0-3", ""]);
});

Deno.test.each<{ memory: MemoryResources; swap: bigint | undefined }>([
  { memory: { limit: MIB, swap: 3 * MIB }, swap: BigInt(2 * MIB) },
  { memory: { limit: MIB, swap: MIB }, swap: 0n },
  { memory: { limit: MIB }, swap: undefined },
  { memory: { limit: MIB, swap: -1 }, swap: -1n },
  { memory: { limit: -1 }, swap: -1n },
  { memory: { limit: -1, swap: MIB }, swap: BigInt(MIB) },
])("swapMax() of $memory is $swap: without the memory", ({ memory, swap }) => assert.equal(swapMax(memory), swap));

Deno.test("swapMax() refuses a sum that is smaller than the memory, or has none", () => {
  assert.throws(() => swapMax({ limit: 2 * MIB, swap: MIB }), /the memory limit is larger/);
  assert.throws(() => swapMax({ swap: MIB }), /there is no memory limit/);
});

Deno.test("applyMemory() on v2 writes max for -1, and nothing for 0", () => {
  using cgroup = new FakeCgroup({ "memory.max": "", "memory.low": "", "memory.swap.max": "" });
  applyMemory(cgroup.path, { limit: -1, reservation: 0, kernel: 5 });
  const files = ["memory.max", "memory.low", "memory.swap.max"];
  assert.deepEqual(files.map((file) => cgroup.read(file)), ["max", "", "max"]);
});

Deno.test("runk v2b: applyMemory() asks no swap of a machine that does not count it, and fails if it is to be limited", () => {
  using cgroup = new FakeCgroup({ "memory.max": "" });
  applyMemory(cgroup.path, { limit: -1 });
  applyMemory(cgroup.path, { limit: MIB, swap: MIB });
  applyMemory(cgroup.path, { limit: MIB, swap: -1 });
  assert.throws(() => applyMemory(cgroup.path, { limit: MIB, swap: 2 * MIB }), /memory\.swap\.max/);
});

Deno.test("applyMemory() refuses a limit below the usage only if asked to check", () => {
  using cgroup = new FakeCgroup({ "memory.max": "", "memory.current": "2000000" });
  assert.throws(() => applyMemory(cgroup.path, { limit: MIB, checkBeforeUpdate: true }), /2000000 bytes are in use/);
  applyMemory(cgroup.path, { limit: MIB });
  assert.equal(cgroup.read("memory.max"), String(MIB));
});

Deno.test.each([
  { limit: 100, file: "100" },
  { limit: -1, file: "max" },
  { limit: 0, file: "" },
])("applyPids() writes $file for $limit", ({ limit, file }) => {
  using cgroup = new FakeCgroup({ "pids.max": "" });
  applyPids(cgroup.path, { limit });
  assert.equal(cgroup.read("pids.max"), file);
});

Deno.test.each([
  { weight: 10, io: 1 },
  { weight: 500, io: 4950 },
  { weight: 1000, io: 10000 },
])("ioWeight($weight) is $io", ({ weight, io }) => assert.equal(ioWeight(weight), io));

Deno.test.each<{ io: BlockIoResources; file: string; text: string }>([
  { io: { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 100 }] }, file: "io.max", text: "8:0 rbps=100" },
  { io: { throttleWriteIOPSDevice: [{ major: 8, minor: 1, rate: 0 }] }, file: "io.max", text: "8:1 wiops=max" },
  { io: { weight: 1000 }, file: "io.weight", text: "10000" },
  { io: { weightDevice: [{ major: 8, minor: 0, weight: 10 }] }, file: "io.weight", text: "8:0 1" },
])("applyIo() writes $text into $file", ({ io, file, text }) => {
  using cgroup = new FakeCgroup({ "io.max": "", "io.weight": "" });
  applyIo(cgroup.path, io);
  assert.equal(cgroup.read(file), text);
});

Deno.test("applyIo() prefers the BFQ scheduler's weight, in its own range", () => {
  using cgroup = new FakeCgroup({ "io.bfq.weight": "" });
  applyIo(cgroup.path, { weight: 300 });
  assert.equal(cgroup.read("io.bfq.weight"), "300");
});

Deno.test("applyHugetlb() limits reservations too, where the kernel can", () => {
  using cgroup = new FakeCgroup({ "hugetlb.2MB.max": "", "hugetlb.2MB.rsvd.max": "" });
  applyHugetlb(cgroup.path, [{ pageSize: "2MB", limit: 4 * MIB }]);
  assert.equal(cgroup.read("hugetlb.2MB.rsvd.max"), String(4 * MIB));
});

Deno.test("pods B12: applyHugetlb() of a size that the kernel has not takes a limit of 0, and no other", () => {
  using cgroup = new FakeCgroup({ "hugetlb.2MB.max": "" });
  applyHugetlb(cgroup.path, [{ pageSize: "1GB", limit: 0 }, { pageSize: "2MB", limit: 0 }]);
  assert.equal(cgroup.read("hugetlb.2MB.max"), "0");
  assert.throws(() => applyHugetlb(cgroup.path, [{ pageSize: "1GB", limit: 1 << 30 }]), /hugetlb\.1GB\.max/);
});

Deno.test("hugePageSizes() spells sizes as the controller's files do", () => {
  const directory = Deno.makeTempDirSync();
  for (const size of [64, 2048, 1048576]) Deno.mkdirSync(`${directory}/hugepages-${size}kB`);
  assert.deepEqual(hugePageSizes(directory), ["1GB", "2MB", "64KB"]);
  Deno.removeSync(directory, { recursive: true });
  assert.deepEqual(hugePageSizes(directory), []);
});

Deno.test("bpfRules() turn absent and negative numbers into any, and leave pipes out", () => {
  const rules = bpfRules([
    { allow: false, access: "rwm" },
    { allow: true, type: "c", major: 5, minor: -1 },
    { allow: true, type: "p" },
  ]);
  assert.deepEqual(rules, [
    { allow: false, type: "all", major: undefined, minor: undefined, access: "rwm" },
    { allow: true, type: "char", major: 5, minor: undefined, access: "rwm" },
  ]);
});

Deno.test("Stats on v2 are read from the files, in nanoseconds and bytes", () => {
  using cgroup = new FakeCgroup({
    "cpu.stat": "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7\n",
    "memory.current": "100",
    "memory.max": "max",
    "memory.peak": "150",
    "memory.stat": "anon 60\nfile 40\nkernel 5\n",
    "memory.events": "low 0\nmax 3\noom_kill 1\n",
    "memory.swap.current": "8",
    "memory.swap.max": "16",
    "pids.current": "3",
    "pids.max": "max",
    "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n",
    "hugetlb.2MB.current": "4",
    "hugetlb.2MB.events": "max 1\n",
  });
  const { path } = cgroup;
  const throttling = { periods: 4n, throttledPeriods: 2n, throttledTime: 7000n };
  assert.deepEqual(cpuStats(path), {
    total: 30_000n,
    user: 20_000n,
    system: 10_000n,
    perCpu: [],
    perCpuUser: [],
    perCpuSystem: [],
    throttling,
  });
  const memory = memoryStats(path);
  assert.deepEqual(memory.usage, { usage: 100n, maxUsage: 150n, failures: 3n, limit: NO_LIMIT });
  assert.deepEqual(memory.swap, { usage: 8n, maxUsage: 0n, failures: 0n, limit: 16n });
  assert.deepEqual([memory.cache, memory.kernel.usage, memory.stat.get("anon")], [40n, 5n, 60n]);
  assert.deepEqual(pidsStats(path), { current: 3n, limit: 0n });
  const { serviceBytes, serviced } = ioStats(path);
  assert.deepEqual(serviceBytes.map(({ op, value }) => [op, value]), [["Read", 1n], ["Write", 2n], ["Discard", 5n]]);
  assert.deepEqual(serviced.map(({ value }) => value), [3n, 4n, 6n]);
  assert.deepEqual(hugetlbStats(path, ["2MB", "1GB"]), new Map([["2MB", { usage: 4n, maxUsage: 0n, failures: 1n }]]));
});

Deno.test("Stats of a cgroup that is gone are zero", () => {
  assert.deepEqual(pidsStats("/nowhere"), { current: 0n, limit: 0n });
  assert.equal(cpuStats("/nowhere").total, 0n);
  assert.equal(memoryStats("/nowhere").usage.usage, 0n);
});

Deno.test.each([
  { limits: { hcaHandles: 2, hcaObjects: 2000 }, line: "mlx4_0 hca_handle=2 hca_object=2000" },
  { limits: { hcaObjects: 0 }, line: "mlx4_0 hca_object=0" },
  { limits: {}, line: "" },
])("applyRdma() writes '$line' for $limits", ({ limits, line }) => {
  using cgroup = new FakeCgroup({ "rdma.max": "" });
  applyRdma(cgroup.path, { mlx4_0: limits });
  assert.equal(cgroup.read("rdma.max"), line);
});

/** A group with one below it, which is the container's. @param files Of the upper one. */
function nested(files: Readonly<Record<string, string>>): FakeCgroup {
  const root = new FakeCgroup({ "cgroup.subtree_control": "", "cgroup.controllers": "" });
  Deno.mkdirSync(`${root.path}/a/box`, { recursive: true });
  for (const [name, text] of Object.entries({ "cgroup.subtree_control": "", "cgroup.controllers": "pids", ...files })) {
    Deno.writeTextFileSync(`${root.path}/a/${name}`, text);
  }
  return root;
}

Deno.test.each([
  { what: "nobody is in", files: { "cgroup.type": "domain", "cgroup.threads": "" }, given: "+pids" },
  { what: "somebody is in", files: { "cgroup.type": "domain", "cgroup.threads": "7\n" }, given: "" },
  {
    what: "somebody of another pid namespace is in",
    files: { "cgroup.type": "domain", "cgroup.threads": "0\n" },
    given: "",
  },
  { what: "is the hierarchy's root", files: { "cgroup.threads": "7\n" }, given: "+pids" },
])(
  "runk 59: CgroupV2 has a group that $what give '$given', by which others might become threaded",
  ({ files, given }) => {
    using root = nested(files);
    new CgroupV2(root.path, "a/box").create();
    assert.equal(root.read("a/cgroup.subtree_control"), given);
  },
);

Deno.test("runk 59: CgroupV2 says of a limit that it cannot have whose processes keep it from the controller", () => {
  using root = nested({ "cgroup.type": "domain", "cgroup.threads": "7\n" });
  const cgroup = new CgroupV2(root.path, "a/box");
  cgroup.create();
  assert.throws(() => cgroup.apply({ pids: { limit: 5 } }), {
    message:
      `Cannot limit cgroup "${root.path}/a/box": "${root.path}/a" has processes of its own, and so gives it no controllers`,
  });
});
