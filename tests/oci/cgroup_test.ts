/** Resource limits, read back from the machine's own cgroup layout. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { Box, WEIGHT_OF_512_SHARES } from "./runtime.ts";
import { test } from "./suite.ts";

const isV2 = exists("/sys/fs/cgroup/cgroup.controllers");

/** A limit by its v1 controller and file, or its v2 file. */
function limit(box: Box, v1: string, v2: string): string {
  const [controller, file] = v1.split("/");
  const path = isV2
    ? `/sys/fs/cgroup${box.spec.linux.cgroupsPath}/${v2}`
    : `/sys/fs/cgroup/${controller}${box.spec.linux.cgroupsPath}/${file}`;
  return Deno.readTextFileSync(path).trim();
}

async function started(box: Box): Promise<string> {
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  return id;
}

test("resources: memory, cpu and pids limits are written", async () => {
  await using box = new Box();
  box.spec.linux.resources.memory = { limit: 64 << 20 };
  box.spec.linux.resources.cpu = { shares: 512, quota: 50000, period: 100000 };
  box.spec.linux.resources.pids = { limit: 33 };
  await started(box);
  assert.equal(limit(box, "memory/memory.limit_in_bytes", "memory.max"), String(64 << 20));
  assert.equal(limit(box, "pids/pids.max", "pids.max"), "33");
  if (isV2) {
    assert.equal(limit(box, "", "cpu.max"), "50000 100000");
    assert.equal(limit(box, "", "cpu.weight"), WEIGHT_OF_512_SHARES);
  } else {
    assert.equal(limit(box, "cpu/cpu.cfs_quota_us", ""), "50000");
    assert.equal(limit(box, "cpu/cpu.shares", ""), "512");
  }
});

test("resources: what this machine's cgroups cannot do is an error, and nothing is left", async () => {
  await using box = new Box();
  const asked = [
    isV2 ? { unified: { "no.such.file": "1" } } : { unified: { "memory.high": "1000000" } },
    exists("/sys/fs/cgroup/net_cls") || isV2 ? undefined : { network: { classID: 1 } },
  ];
  for (const resources of asked.filter((one) => one !== undefined)) {
    box.spec.linux.resources = resources;
    const { code, stderr } = await box.run();
    assert.equal(code, 1);
    assert.match(stderr, /unified|memory\.high|no\.such\.file|net_cls/);
    assert.ok(!exists(`/sys/fs/cgroup/${isV2 ? "" : "memory"}${box.spec.linux.cgroupsPath}`));
  }
});

test("resources: more CPU shares than v1 has are refused, and v2 takes as many as it can", async () => {
  await using box = new Box();
  box.spec.linux.resources.cpu = { shares: 262_145 };
  const { code, stderr } = await box.run();
  assert.equal(code, isV2 ? 0 : 1);
  assert.match(stderr, isV2 ? /^$/ : /262144/);
});

test("resources: cpuset of the spec binds the container", async () => {
  await using box = new Box();
  box.spec.linux.resources.cpu = { cpus: "0", mems: "0" };
  const { stdout, stderr } = await box.sh("grep Cpus_allowed_list /proc/self/status").run();
  assert.match(stdout, /:\t0\n/, stderr);
});

test("resources: more processes than pids.limit cannot be made", async () => {
  await using box = new Box();
  box.spec.linux.resources.pids = { limit: 4 };
  const { stdout, stderr } = await box.sh("for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait").run();
  assert.match(`${stdout}${stderr}`, /fork/);
});

test("resources: a process above its memory limit is killed with 137", async () => {
  await using box = new Box();
  box.spec.linux.resources.memory = { limit: 16 << 20, swap: 16 << 20 };
  box.spec.process.args = ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];
  assert.equal((await box.run()).code, 137);
});

test("update: limits change while the container runs", async () => {
  await using box = new Box();
  box.spec.linux.resources.memory = { limit: 64 << 20 };
  const id = await started(box);
  await box.ok(
    "update",
    "--memory",
    String(96 << 20),
    "--pids-limit",
    "44",
    "--cpu-quota",
    "20000",
    "--cpu-period",
    "100000",
    id,
  );
  assert.equal(limit(box, "memory/memory.limit_in_bytes", "memory.max"), String(96 << 20));
  assert.equal(limit(box, "pids/pids.max", "pids.max"), "44");
  assert.match(limit(box, "cpu/cpu.cfs_quota_us", "cpu.max"), /^20000/);
});

test("update --resources: reads the JSON of the specification from stdin", async () => {
  await using box = new Box();
  const id = await started(box);
  const stdin = JSON.stringify({ pids: { limit: 21 }, memory: { limit: 80 << 20 } });
  const { code, stderr } = await box.call(["update", "--resources", "-", id], { stdin });
  assert.equal(code, 0, stderr);
  assert.equal(limit(box, "pids/pids.max", "pids.max"), "21");
});

test("events --stats: one JSON object with cpu, memory and pids", async () => {
  await using box = new Box();
  const id = await started(box);
  const { type, id: reported, data } = JSON.parse((await box.ok("events", "--stats", id)).stdout);
  assert.deepEqual([type, reported], ["stats", id]);
  assert.ok(data.cpu.usage.total > 0 && data.memory.usage.usage > 0);
  assert.ok(data.pids.current >= 1);
  if (!isV2) {
    assert.equal(data.cpuset.cpus.length, navigator.hardwareConcurrency);
    assert.equal(data.cpu.usage.percpu_user.length, data.cpu.usage.percpu.length);
  }
});

test("delete: no cgroup directory is left behind", async () => {
  await using box = new Box();
  const id = await started(box);
  await box.ok("delete", "--force", id);
  const path = box.spec.linux.cgroupsPath;
  const places = isV2
    ? [`/sys/fs/cgroup${path}`]
    : ["memory", "pids", "cpu", "freezer", "devices"].map((name) => `/sys/fs/cgroup/${name}${path}`);
  assert.deepEqual(places.filter(exists), []);
});

test("cgroupsPath: without one the container gets a cgroup named by its id", async () => {
  await using box = new Box();
  delete box.spec.linux.cgroupsPath;
  const id = await started(box);
  const { pid } = await box.state(id);
  assert.match(Deno.readTextFileSync(`/proc/${pid}/cgroup`), new RegExp(`/${id}\n`));
});

/** The v2 hierarchy, if there is one. */
const UNIFIED = [isV2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified"].find((root) => exists(`${root}/cgroup.procs`));

test("runk 59: a cgroup that takes no processes, as one beside it is threaded, is refused by its name and state", async () => {
  if (UNIFIED === undefined) return;
  await using box = new Box();
  const above = `/oci-tests/${crypto.randomUUID().slice(0, 8)}`;
  box.spec.linux.cgroupsPath = `${above}/box`;
  Deno.mkdirSync(`${UNIFIED}${above}/beside`, { recursive: true });
  Deno.writeTextFileSync(`${UNIFIED}${above}/beside/cgroup.type`, "threaded");
  const id = box.id();
  const { code, stdout, stderr } = await box.sh("echo ran").run(id);
  // Its own group makes do without.
  if (stdout !== "ran\n") {
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`${UNIFIED}${above}/box.*domain invalid`));
  }
  assert.notEqual((await box.call(["state", id])).code, 0);
  for (const name of [`${above}/box`, `${above}/beside`, above]) {
    if (exists(`${UNIFIED}${name}`)) Deno.removeSync(`${UNIFIED}${name}`);
  }
});
