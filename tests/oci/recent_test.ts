/** Features of the specification since version 1.0.2, which runc 1.1 does not know yet. */
import assert from "node:assert/strict";
import { Box, host, type Spec } from "./runtime.ts";
import { test, testEach } from "./suite.ts";

test("1.1+: a time namespace shifts the clock since boot", async () => {
  await using box = new Box();
  box.spec.linux.namespaces.push({ type: "time" });
  box.spec.linux.timeOffsets = { boottime: { secs: 100_000, nanosecs: 0 } };
  const { stdout, stderr } = await box.sh("cut -d. -f1 /proc/uptime").run();
  const ours = parseInt(Deno.readTextFileSync("/proc/uptime"));
  assert.ok(Math.abs(Number(stdout) - ours - 100_000) < 100, `${stdout} here ${ours}: ${stderr}`);
});

test("1.1+: personality changes the machine's name", async () => {
  await using box = new Box();
  box.spec.linux.personality = { domain: "LINUX32" };
  const { stdout } = await box.sh("uname -m").run();
  assert.notEqual(stdout.trim(), await host("uname", "-m"));
});

test("1.1+: scheduler and ioPriority are those of the process", async () => {
  await using box = new Box();
  const id = box.id();
  Object.assign(box.spec.process, {
    scheduler: { policy: "SCHED_BATCH", nice: 5 },
    ioPriority: { class: "IOPRIO_CLASS_BE", priority: 6 },
  });
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { pid } = await box.state(id);
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /, "").split(" ");
  const [NICE, POLICY, SCHED_BATCH] = [16, 38, "3"];
  assert.deepEqual([stat[NICE], stat[POLICY]], ["5", SCHED_BATCH]);
  assert.equal(await host("ionice", "-p", `${pid}`), "best-effort: prio 6");
});

test("1.1+: an idle group may have CPU shares, from the start and later", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.linux.resources.cpu = { shares: 512, idle: 1 };
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { pid } = await box.state(id);
  const groups = Deno.readTextFileSync(`/proc/${pid}/cgroup`);
  const v1 = /:cpu(?:,cpuacct)?:(.*)/.exec(groups)?.[1];
  const path = v1 === undefined ? `/sys/fs/cgroup${/^0::(.*)/m.exec(groups)?.[1]}` : `/sys/fs/cgroup/cpu${v1}`;
  assert.equal(Deno.readTextFileSync(`${path}/cpu.idle`).trim(), "1");
  const update = await box.call(["update", "--resources", "-", id], {
    stdin: JSON.stringify({ cpu: { idle: 0, shares: 600 } }),
  });
  assert.equal(update.code, 0, update.stderr);
  assert.equal(Deno.readTextFileSync(`${path}/cpu.idle`).trim(), "0");
});

test("1.1+: execCPUAffinity is that of a process that joins, not of the first one", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.process.execCPUAffinity = { initial: "0", final: "0" };
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { stdout } = await box.ok("exec", id, "/bin/sh", "-c", "grep Cpus_allowed_list: /proc/self/status");
  assert.match(stdout, /:\s*0\n$/);
  const allowed = (pid: number | "self") =>
    /^Cpus_allowed_list:.*/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[0];
  assert.equal(allowed((await box.state(id)).pid), allowed("self"));
});

test("1.1+: domainname is set in the container only", async () => {
  await using box = new Box();
  box.spec.domainname = "box.example";
  const { stdout } = await box.sh("cat /proc/sys/kernel/domainname").run();
  assert.equal(stdout, "box.example\n");
});

testEach([
  { maps: "of its own", userNamespace: false },
  { maps: "of its own, in a user namespace", userNamespace: true },
])("1.1+: a mount with ids mapped by maps $maps shows other owners", async ({ userNamespace }) => {
  await using box = new Box();
  const volume = `${box.dir}/volume`;
  Deno.mkdirSync(volume);
  Deno.writeTextFileSync(`${volume}/file`, "");
  Deno.chownSync(`${volume}/file`, 5, 6);
  const map = (hostID: number) => [{ containerID: 0, hostID, size: 1000 }];
  const maps = { uidMappings: map(100_000), gidMappings: map(200_000) };
  if (userNamespace) {
    box.spec.linux.namespaces.push({ type: "user" });
    Object.assign(box.spec.linux, maps);
    Deno.chmodSync(box.dir, 0o755);
    Deno.mkdirSync(`${box.rootfs}/volume`);
  }
  box.spec.mounts.push({ destination: "/volume", source: volume, type: "bind", options: ["bind", "nosuid"], ...maps });
  const { stdout, stderr } = await box.sh("busybox stat -c '%u %g' /volume/file").run();
  assert.equal(stdout, userNamespace ? "5 6\n" : "100005 200006\n", stderr);
});

testEach([
  { what: "Intel RDT", change: (spec: Spec) => spec.linux.intelRdt = { closID: "a" }, why: /RDT/i },
  {
    what: "a limit of remote memory access",
    change: (spec: Spec) => spec.linux.resources = { rdma: { mlx5_0: { hcaHandles: 2 } } },
    why: /rdma/,
  },
  {
    what: "mapped ids of a mount",
    change: (spec: Spec) =>
      spec.mounts.push({ destination: "/x", type: "bind", source: "/tmp", options: ["bind", "idmap"] }),
    why: /mapped/,
  },
])("1.1+: $what is either supported or refused by name", async ({ change, why }) => {
  await using box = new Box();
  const id = box.id();
  change(box.spec);
  const { code, stderr } = await box.run(id);
  if (code === 0) return;
  assert.match(stderr, why);
  assert.notEqual((await box.call(["state", id])).code, 0);
});
