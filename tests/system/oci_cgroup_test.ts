/**
 * The container engine on the real kernel: limits and accounts. The machine's own layout is v1 or hybrid here; where a v2
 * hierarchy stands beside it, that one is taken as a whole layout for the rest. Needs root and busybox-static.
 */
import assert from "node:assert/strict";
import { readCgroupFile } from "../../src/linux/cgroup/file.ts";
import { type CgroupLayout, createCgroup, detectCgroups, joinCgroup } from "../../src/linux/cgroup/cgroup.ts";
import { pipe } from "../../src/linux/io/fd.ts";
import { SIGNALS } from "../../src/linux/process/signal.ts";
import { Container } from "../../src/oci/container/container.ts";
import type { Process } from "../../src/oci/spec/spec.ts";
import { Bundle, codeOf, isReady, NOT_READY, readAll, TestContainer } from "./oci_bundle.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { until } from "../support/wait.ts";

const layout = isReady() ? detectCgroups() : undefined;
/** For tests of a layout that this machine lacks. */
function leftOutUnless(isThere: boolean, what: string): boolean {
  return leftOut(import.meta, layout === undefined ? NOT_READY : !isThere && `this machine has no cgroups ${what}`);
}

const ignore = leftOutUnless(layout !== undefined, "at all");
const ignoreWholeV2 = leftOutUnless(layout?.mode === "v2", "v2 alone");
const ignoreV1 = leftOutUnless(layout?.mode === "v1" || layout?.mode === "hybrid", "v1");

/** The v2 hierarchy as if there were no other. */
function unified(): CgroupLayout | undefined {
  if (layout?.unified === undefined) return undefined;
  return { ...layout, mode: "v2", root: layout.unified, v1: new Map() };
}

const ignoreV2 = leftOutUnless(unified() !== undefined, "v2");

function process(args: readonly string[]): Process {
  return { user: { uid: 0, gid: 0 }, args: [...args], env: ["PATH=/bin"], cwd: "/" };
}

Deno.test(
  { name: "Limits are set on v1 (B6), changed by update(), and shown by stats()", ignore: ignoreV1 },
  async () => {
    using bundle = new Bundle();
    const spec = bundle.spec(["sleep", "100"], ({ linux }) => {
      linux.resources = {
        memory: { limit: 64 << 20, swap: 96 << 20 },
        cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: "0" },
        pids: { limit: 20 },
      };
    });
    await using made = await TestContainer.create(bundle.options(spec));
    const { container } = made;
    const file = (controller: string, name: string) =>
      readCgroupFile(`${layout!.v1.get(controller)}${spec.linux!.cgroupsPath}`, name);
    assert.equal(file("memory", "memory.limit_in_bytes"), String(64 << 20));
    assert.equal(file("memory", "memory.memsw.limit_in_bytes"), String(96 << 20));
    assert.equal(file("cpu", "cpu.cfs_quota_us"), "50000");
    assert.equal(file("cpuset", "cpuset.cpus"), "0");
    await container.start();
    await container.update({
      memory: { limit: 128 << 20, swap: 128 << 20 },
      cpu: { quota: 20_000 },
      pids: { limit: 30 },
    });
    assert.equal(file("memory", "memory.limit_in_bytes"), String(128 << 20));
    assert.equal(file("cpu", "cpu.cfs_quota_us"), "20000");
    assert.equal(file("cpu", "cpu.shares"), "512");
    const { memory, pids, cpu } = container.stats();
    assert.equal(memory.usage.limit, BigInt(128 << 20));
    assert.ok(memory.usage.usage > 0n);
    assert.deepEqual(pids, { current: 1n, limit: 30n });
    assert.ok(cpu.total > 0n);
    await container.update({ memory: { limit: -1 } });
    assert.ok(BigInt(file("memory", "memory.limit_in_bytes")!) > 2n ** 62n);
    assert.equal(String(container.stats().memory.usage.limit), file("memory", "memory.limit_in_bytes"));
  },
);

Deno.test(
  { name: "Limits are set on v2 (B6), changed by update(), and shown by stats()", ignore: ignoreWholeV2 },
  async () => {
    using bundle = new Bundle();
    const spec = bundle.spec(["sleep", "100"], ({ linux }) => {
      linux.resources = {
        memory: { limit: 64 << 20, swap: 96 << 20, reservation: 16 << 20 },
        cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: "0" },
        pids: { limit: 20 },
        unified: { "memory.high": "50000000", "pids.max": "25" },
      };
    });
    await using made = await TestContainer.create(bundle.options(spec));
    const { container } = made;
    const file = (name: string) => readCgroupFile(`${layout!.root}${spec.linux!.cgroupsPath}`, name);
    const names = ["memory.max", "memory.swap.max", "memory.low", "cpu.max", "cpu.weight", "cpuset.cpus", "pids.max"];
    const limits = [64 << 20, 32 << 20, 16 << 20, "50000 100000", 20, 0, 25].map(String);
    assert.deepEqual(names.map(file), limits);
    await container.start();
    await container.update({ memory: { limit: 128 << 20, swap: 128 << 20 }, cpu: { quota: -1 }, pids: { limit: 30 } });
    assert.deepEqual(["memory.max", "memory.swap.max", "cpu.max"].map(file), [String(128 << 20), "0", "max 100000"]);
    const { memory, pids, cpu } = container.stats();
    assert.equal(memory.usage.limit, BigInt(128 << 20));
    assert.ok(memory.usage.usage > 0n && cpu.total > 0n);
    assert.deepEqual(pids, { current: 1n, limit: 30n });
  },
);

Deno.test({ name: "B6: without resources nothing is set", ignore: ignoreV1 }, async () => {
  using bundle = new Bundle();
  const spec = bundle.spec(["true"]);
  await using _ = await TestContainer.create(bundle.options(spec));
  const path = `${layout!.v1.get("memory")}${spec.linux!.cgroupsPath}`;
  assert.ok(BigInt(readCgroupFile(path, "memory.limit_in_bytes")!) > 2n ** 62n);
});

Deno.test({ name: "A limit of processes holds", ignore }, async () => {
  using bundle = new Bundle();
  const { output } = await bundle.run(["sh", "-c", "sleep 1 & sleep 1 & sleep 1 & wait"], ({ linux }) => {
    linux.resources = { pids: { limit: 2 } };
  });
  assert.match(output, /can't fork/);
});

Deno.test({ name: "oomEvents() tells of a kill, and ends with the container", ignore }, async () => {
  using bundle = new Bundle();
  const hog = "a=x; while true; do a=$a$a; done";
  const spec = bundle.spec(["sh", "-c", hog], ({ linux }) => linux.resources = { memory: { limit: 8 << 20 } });
  await using made = await TestContainer.create(bundle.options(spec));
  const events = made.container.oomEvents({ signal: AbortSignal.timeout(20_000) })[Symbol.asyncIterator]();
  const first = events.next();
  await made.container.start();
  assert.ok(!(await first).done);
  const rest = events.next();
  assert.equal(await codeOf(made.container.init), 137);
  await made.container.delete();
  // Kills may come in more than one event.
  for (let next = await rest; !next.done; next = await events.next());
  assert.deepEqual(bundle.leftovers(), []);
});

Deno.test(
  { name: "A limit that cannot be set fails create() by its file, and leaves nothing", ignore },
  async () => {
    using bundle = new Bundle();
    const spec = bundle.spec(["true"], ({ linux }) => linux.resources = { cpu: { cpus: "9999" } });
    await assert.rejects(Container.create(bundle.options(spec)), /cpuset.cpus/);
    assert.deepEqual(bundle.leftovers(), []);
  },
);

Deno.test({ name: "A container lives on v2: exec, devices, pause, kill all, delete", ignore: ignoreV2 }, async () => {
  using bundle = new Bundle();
  const spec = bundle.spec(["sh", "-c", "sleep 1000 & wait"], ({ linux }) => {
    linux.namespaces = [{ type: "mount" }, { type: "uts" }, { type: "cgroup" }];
    linux.devices = [{ path: "/dev/mine", type: "c", major: 1, minor: 11 }];
    linux.resources = { devices: [{ allow: false, access: "rwm" }] };
  });
  await using made = await TestContainer.create({ ...bundle.options(spec), cgroups: unified()! });
  const { container } = made;
  await container.start();
  await until(() => container.pids().length >= 2);
  using output = pipe();
  const script = "cat /dev/null && echo null; cat /dev/mine; cat /proc/self/cgroup | grep 0::";
  const joined = await container.exec(process(["sh", "-c", script]), {
    stdio: { stdout: output.write, stderr: output.write },
  });
  const text = await readAll(output);
  assert.match(text, /^null\n.*'\/dev\/mine': Operation not permitted\n0::\/\n$/);
  assert.equal(await codeOf(joined), 0);
  await container.pause();
  assert.equal(container.status(), "paused");
  await container.kill(SIGNALS.SIGKILL, { all: true });
  assert.equal(await codeOf(container.init), 137);
  assert.deepEqual(container.pids(), []);
});

Deno.test(
  { name: "B3: exec joins the init sub-cgroup of a group that gives controllers away", ignore: ignoreV2 },
  async () => {
    using bundle = new Bundle();
    const spec = bundle.spec(["sleep", "100"]);
    const cgroups = unified()!;
    await using made = await TestContainer.create({ ...bundle.options(spec), cgroups });
    await made.container.start();
    const path = `${cgroups.root}${spec.linux!.cgroupsPath}`;
    createCgroup(`${path}/init`);
    joinCgroup(`${path}/init`, made.container.pid);
    // The group passes on what it has; then it may hold no process itself.
    const [controller] = (readCgroupFile(path, "cgroup.controllers") ?? "").split(" ");
    assert.ok(controller);
    Deno.writeTextFileSync(`${path}/cgroup.subtree_control`, `+${controller}`);
    const joined = await made.container.exec(process(["sleep", "100"]));
    assert.match(Deno.readTextFileSync(`/proc/${joined.pid}/cgroup`), new RegExp(`^0::.*/init$`, "m"));
    assert.equal(made.container.pids().length, 2);
  },
);

Deno.test({ name: "A cgroup mount is cgroup2 on v2", ignore: ignoreV2 }, async () => {
  using bundle = new Bundle();
  const spec = bundle.spec(["cat", "/sys/fs/cgroup/cgroup.procs"], ({ mounts, linux }) => {
    mounts.push({ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] });
    linux.namespaces!.push({ type: "cgroup" });
  });
  await using made = await TestContainer.create({ ...bundle.options(spec), cgroups: unified()! });
  await made.container.start();
  assert.equal(await made.output, "1\n");
});
