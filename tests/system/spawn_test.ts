/**
 * Children under stress: thousands into new namespaces, side by side, parked ones too, while garbage is collected.
 * Needs root.
 */
import assert from "node:assert/strict";
import type { NamespaceFlag } from "../../src/linux/child_program/start.ts";
import { Fd, O_DIRECTORY, O_RDONLY, pipe } from "../../src/linux/io/fd.ts";
import { readText } from "../../src/linux/io/fd_stream.ts";
import { createNetns, enterNetns, isSameNamespace, openNamespace } from "../../src/linux/process/namespace.ts";
import { NAMESPACES } from "../../src/linux/process/namespace_kinds.ts";
import { forbidInspection } from "../../src/linux/process/process.ts";
import { readSome } from "../../src/linux/io/poll.ts";
import { type Child, reapChildren, spawn } from "../../src/linux/process/spawn.ts";
import { arrangeDescriptors, awaitByte, forkStage2, report } from "../../src/linux/child_program/calls.ts";
import { SyscallProgram } from "../../src/linux/child_program/program.ts";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";

const ignore = leftOutUnlessRoot(import.meta);
const ALL: NamespaceFlag[] = ["newuser", "newns", "newuts", "newipc", "newpid"];
const MS_PRIVATE_ALL = 0x44000;
const TRUE = { args: ["true"], env: [] };

/** Steps that a container's start begins with: own mounts, own /proc. */
function containerSteps(): SyscallProgram {
  const program = new SyscallProgram();
  program.call("mount", ["none", "/", null, MS_PRIVATE_ALL, null], { label: "make mounts private" });
  program.call("mount", ["proc", "/proc", "proc", 0, null], { label: "mount proc on /proc" });
  program.call("sethostname", ["inside", 6], { label: "sethostname" });
  return program;
}

/** Ends in a step that fails with EINVAL, ENOENT or ENOTDIR, each under a label of its own. */
function failingSteps(kind: number): { program: SyscallProgram; message: string } {
  const program = containerSteps();
  const paths = [["/", "EINVAL"], ["/no/such", "ENOENT"], ["/bin/true/x", "ENOTDIR"]] as const;
  const [path, code] = paths[kind % paths.length]!;
  const label = `readlink number ${kind}`;
  program.call("readlinkat", [-100, path, program.allocate(64).address, 64], { label });
  program.execve(["/bin/true"], TRUE);
  return { program, message: `${label}: ${code}` };
}

function makeGarbage(): unknown[] {
  return Array.from(
    { length: 200 },
    (_, index) => ({ index, text: `garbage ${index}`, more: new Array(50).fill(index) }),
  );
}

/** One child of each kind, from start to end. */
const KINDS = [
  async () => {
    const program = containerSteps();
    program.execve(["/bin/true"], TRUE);
    await using child = program.start({ flags: ALL, vfork: true });
    assert.equal(child.failure, undefined);
    assert.deepEqual(await child.wait(), { code: 0 });
  },
  async (index) => {
    const { program, message } = failingSteps(index);
    await using child = program.start({ flags: ALL, vfork: true });
    assert.equal(child.failure?.message, message);
    assert.deepEqual(await child.wait(), { code: 127 });
  },
  async (index) => {
    const { program, message } = failingSteps(index);
    await using child = program.start({ flags: ALL });
    await assert.rejects(child.executed(), { message });
    assert.deepEqual(await child.wait(), { code: 127 });
  },
  async (index) => {
    await using parked = park({ exitCode: index % 100 });
    await parked.created();
    makeGarbage();
    parked.go();
    await parked.child.executed();
    assert.deepEqual(await parked.child.wait(), { code: index % 100 });
  },
  async () => {
    await using child = spawn({ path: "/bin/sh", args: ["sh", "-c", "exit 5"] });
    assert.deepEqual(await child.wait(), { code: 5 });
  },
] satisfies ((index: number) => Promise<void>)[];

/** A child in namespaces of its own that has reported and waits, as a created container does. */
function park({ exitCode }: { exitCode: number }) {
  const created = pipe();
  const start = pipe();
  const program = containerSteps();
  report(program, created.write.number, { message: "created" });
  program.call("close", [start.write.number]);
  awaitByte(program, start.read.number, { label: "wait for start" });
  program.execve(["/bin/sh"], { args: ["sh", "-c", `exit ${exitCode}`], env: [] });
  const child: Child = program.start({ flags: ALL });
  created.write[Symbol.dispose]();
  return {
    child,
    async created() {
      created.read.setNonblocking();
      assert.equal(await readSome(created.read, new Uint8Array(16)), 7, child.failure?.message ?? "no report");
    },
    go: () => start.write.write(new Uint8Array(1)),
    async [Symbol.asyncDispose]() {
      created[Symbol.dispose]();
      start[Symbol.dispose]();
      await child[Symbol.asyncDispose]();
    },
  };
}

function openDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** Address space in MiB: 2,000 programs that were not freed would add 250. */
function addressSpace(): number {
  return Number(/^VmSize:\s*(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1]) / 1024;
}

function childProcesses(): string {
  return Deno.readTextFileSync(`/proc/self/task/${Deno.pid}/children`);
}

async function startMany(count: number, { atOnce }: { atOnce: number }): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < count; index = next++) await KINDS[index % KINDS.length]!(index);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

Deno.test("2,000 children in new namespaces, 50 at a time, are all accounted for", { ignore }, async () => {
  await startMany(100, { atOnce: 50 });
  const before = { descriptors: openDescriptors(), space: addressSpace() };
  let garbage: unknown[] = [];
  const collecting = setInterval(() => {
    garbage = garbage.length > 20 ? [] : [...garbage, makeGarbage()];
  }, 1);
  try {
    await startMany(2000, { atOnce: 50 });
  } finally {
    clearInterval(collecting);
  }
  assert.equal(childProcesses(), "");
  assert.equal(openDescriptors(), before.descriptors);
  assert.ok(addressSpace() < before.space + 100, `${before.space} MiB before, ${addressSpace()} MiB after`);
});

Deno.test("200 children are parked at once while we collect garbage and start others", { ignore }, async () => {
  await using stack = new AsyncDisposableStack();
  const parked = Array.from({ length: 200 }, (_, index) => stack.use(park({ exitCode: index % 100 })));
  await Promise.all(parked.map((one) => one.created()));
  for (let round = 0; round < 50; round++) makeGarbage();
  await startMany(50, { atOnce: 10 });
  for (const one of parked) one.go();
  const ends = await Promise.all(parked.map(({ child }) => child.wait()));
  assert.deepEqual(ends, parked.map((_, index) => ({ code: index % 100 })));
});

Deno.test("the parent writes the id maps of a user namespace between two steps", { ignore }, async () => {
  using ready = pipe();
  using mapped = pipe();
  using output = pipe();
  const program = new SyscallProgram();
  program.call("close", [mapped.write.number]);
  report(program, ready.write.number, { message: "r" });
  awaitByte(program, mapped.read.number, { label: "wait for id maps" });
  program.call("setresuid", [0, 0, 0], { label: "setresuid 0" });
  arrangeDescriptors(program, [{ child: 1, fd: output.write }]);
  program.execve(["/usr/bin/id", "/bin/id"], { args: ["id", "-u"], env: [] });
  await using child = program.start({ flags: ["newuser"] });
  ready.read.setNonblocking();
  await readSome(ready.read, new Uint8Array(1));
  Deno.writeTextFileSync(`/proc/${child.pid}/uid_map`, "0 100000 1000");
  mapped.write.write(new Uint8Array(1));
  output.write[Symbol.dispose]();
  assert.equal(await readText(output.read), "0\n");
  assert.deepEqual(await child.wait(), { code: 0 });
});

Deno.test("a stage-2 child is in the pid namespace that the child has joined", { ignore }, async () => {
  await using init = park({ exitCode: 0 });
  await init.created();
  using namespace = openNamespace("pid", init.child.pid);
  using output = pipe();
  const program = new SyscallProgram({ apart: { keeps: [namespace.number, output.write.number] } });
  program.call("setns", [namespace.number, NAMESPACES.pid]);
  arrangeDescriptors(program, [{ child: 1, fd: output.write }]);
  const stage2 = forkStage2(program);
  program.execve(["/bin/sh"], { args: ["sh", "-c", "echo $$"], env: [] });
  await using child = program.start({ stage2 });
  output.write[Symbol.dispose]();
  assert.equal(await readText(output.read), "2\n");
  await child.executed();
  await using successor = child.inherit();
  assert.deepEqual(await successor.wait(), { code: 0 });
});

Deno.test("forkStage2() says why nothing can be born in a pid namespace that has died", { ignore }, async () => {
  const sleeping = new SyscallProgram();
  sleeping.execve(["/bin/sleep"], { args: ["sleep", "100"], env: [] });
  await using init = sleeping.start({ flags: ["newpid"] });
  using namespace = Fd.open(`/proc/${init.pid}/ns/pid`, O_RDONLY);
  init.kill("SIGKILL");
  await init.wait();
  const program = new SyscallProgram({ apart: { keeps: [namespace.number] } });
  program.call("setns", [namespace.number, NAMESPACES.pid]);
  const stage2 = forkStage2(program);
  await using child = program.start({ stage2 });
  const message = "clone3 in a pid namespace whose first process has ended: ENOMEM";
  await assert.rejects(child.executed(), { message });
});

Deno.test("start() says which namespaces clone3 refused", { ignore }, () => {
  const program = new SyscallProgram();
  using file = Fd.open("/", O_RDONLY | O_DIRECTORY);
  assert.throws(() => program.start({ flags: ["newpid"], intoCgroup: file }), { message: "clone3 newpid: EBADF" });
});

Deno.test("steps enter the namespaces of another process by its pidfd", { ignore }, async () => {
  await using init = park({ exitCode: 0 });
  await init.created();
  using output = pipe();
  const program = new SyscallProgram();
  const kinds = NAMESPACES.user | NAMESPACES.uts | NAMESPACES.ipc | NAMESPACES.mnt;
  program.call("setns", [init.child.pidfd.number, kinds], { label: "enter namespaces" });
  arrangeDescriptors(program, [{ child: 1, fd: output.write }]);
  program.execve(["/bin/hostname"], { args: ["hostname"], env: [] });
  await using child = program.start({ vfork: true });
  assert.equal(child.failure, undefined);
  output.write[Symbol.dispose]();
  assert.equal(await readText(output.read), "inside\n");
});

Deno.test("spawn() runs in a network namespace, by user and group, out of reach of ours", { ignore }, async () => {
  const path = Deno.makeTempFileSync();
  Deno.removeSync(path);
  using _netns = createNetns(path);
  using netns = Fd.open(path, O_RDONLY);
  using output = pipe();
  await using child = spawn({
    path: "/bin/sh",
    args: ["sh", "-c", "readlink /proc/self/ns/net; id -u; id -G"],
    fds: [{ child: 1, fd: output.write }],
    netns,
    uid: 1000,
    gid: 1001,
    groups: [1002],
    mountNamespace: "slave",
    oomScoreAdj: 500,
    parentDeathSignal: "SIGKILL",
  });
  output.write[Symbol.dispose]();
  const [namespace, uid, groups] = (await readText(output.read)).split("\n");
  assert.equal(namespace, `net:[${Deno.statSync(path).ino}]`);
  assert.deepEqual([uid, groups], ["1000", "1001 1002"]);
  assert.deepEqual(await child.wait(), { code: 0 });
});

Deno.test("enterNetns() is left at the end of its scope", { ignore }, () => {
  const path = Deno.makeTempFileSync();
  Deno.removeSync(path);
  using _netns = createNetns(path);
  const home = Deno.readLinkSync("/proc/thread-self/ns/net");
  {
    using _inside = enterNetns(path);
    using network = openNamespace("net");
    assert.ok(isSameNamespace(`/proc/self/fd/${network.number}`, path));
  }
  assert.equal(Deno.readLinkSync("/proc/thread-self/ns/net"), home);
});

Deno.test("reapChildren() wakes the waiters of our children", { ignore }, async () => {
  await using child = spawn({ path: "/bin/true" });
  const waiting = child.wait();
  while (child.status === undefined) reapChildren();
  assert.deepEqual(await waiting, { code: 0 });
});

Deno.test(
  "forbidInspection() closes our memory to processes of our user, children are not hindered",
  { ignore },
  async () => {
    forbidInspection();
    const inspect = `cat /proc/${Deno.pid}/maps`;
    await using other = spawn({ path: "/bin/sh", args: ["sh", "-c", inspect], uid: Deno.uid()! + 1, gid: 0 });
    assert.notDeepEqual(await other.wait(), { code: 0 });
    await KINDS[3]!(42);
  },
);
