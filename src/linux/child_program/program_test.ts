import assert from "node:assert/strict";
import { AT_FDCWD, O_CREAT, O_WRONLY, pipe } from "../io/fd.ts";
import { readText } from "../io/fd_stream.ts";
import { readSome } from "../io/poll.ts";
import { arrangeDescriptors, awaitByte, report, writeFile } from "./calls.ts";
import { SyscallProgram } from "./program.ts";

const NOTHING = { args: ["true"], env: [] };

/** Runs the steps to their end. */
function run(program: SyscallProgram) {
  const child = program.start({ vfork: true });
  return { failure: child.failure, status: child.waitSync() };
}

Deno.test("a program without execve ends with 0", () => {
  const program = new SyscallProgram();
  assert.deepEqual(run(program), { failure: undefined, status: { code: 0 } });
});

Deno.test("the step that fails is named, those after it do not run", () => {
  const program = new SyscallProgram();
  const after = program.slot();
  program.call("getpid", [], { label: "fine" });
  program.call("chdir", ["/no/such"], { label: "chdir to the rootfs" });
  program.call("getpid", [], { result: after });
  const { failure, status } = run(program);
  assert.equal(failure?.message, "chdir to the rootfs: ENOENT");
  assert.deepEqual(status, { code: 127 });
});

Deno.test("a step without a label is named by its call and first string", () => {
  const program = new SyscallProgram();
  program.call("mkdirat", [AT_FDCWD, "/proc/no/such", 0o755]);
  assert.equal(run(program).failure?.message, "mkdirat /proc/no/such: ENOENT");
});

Deno.test("explain() words the failure", () => {
  const program = new SyscallProgram();
  program.call("chdir", ["/no/such"], { explain: (cause) => new Error("Cannot enter", { cause }) });
  const { failure } = run(program);
  assert.equal(failure?.message, "Cannot enter");
  assert.equal((failure?.cause as Error).message, "chdir /no/such: ENOENT");
});

Deno.test.each([
  { ignore: ["ENOENT"] as const, code: undefined },
  { ignore: ["EPERM", "EACCES", "EBUSY", "EINVAL", "EROFS", "ENODEV", "ENOTDIR", "ENOENT"] as const, code: undefined },
  { ignore: ["EPERM", "ENOTDIR"] as const, code: "ENOENT" },
  { ignore: "all" as const, code: undefined },
])("ignoring $ignore leaves $code of ENOENT", ({ ignore, code }) => {
  const program = new SyscallProgram();
  program.call("chdir", ["/no/such"], { ignore });
  assert.equal((run(program).failure as { code?: string } | undefined)?.code, code);
});

Deno.test("call() refuses a ninth errno and a seventh argument", () => {
  using program = new SyscallProgram();
  const ignore = Array.from({ length: 9 }, () => "EPERM" as const);
  assert.throws(() => program.call("getpid", [], { ignore }), RangeError);
  assert.throws(() => program.call("getpid", [1, 2, 3, 4, 5, 6, 7]), RangeError);
});

Deno.test("the result of a step is an argument of the next", () => {
  const path = Deno.makeTempFileSync();
  try {
    const program = new SyscallProgram();
    const fd = program.slot();
    program.call("openat", [AT_FDCWD, path, O_WRONLY | O_CREAT, 0o600], { result: fd });
    program.call("write", [fd, new TextEncoder().encode("by a child"), 10]);
    assert.equal(run(program).failure, undefined);
    assert.equal(Deno.readTextFileSync(path), "by a child");
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test.each([
  { path: "/no/such", skipped: "skipIfIgnored", failure: "b: ENOENT" },
  { path: "/", skipped: "skipIfDone", failure: "b: ENOENT" },
  { path: "/no/such", skipped: "skipIfDone", failure: "a: ENOENT" },
  { path: "/", skipped: "skipIfIgnored", failure: "a: ENOENT" },
])("after chdir $path, $skipped goes on with $failure", ({ path, skipped, failure }) => {
  const program = new SyscallProgram();
  program.call("chdir", [path], { ignore: ["ENOENT"], [skipped]: 1 });
  program.call("chdir", ["/no/such"], { label: "a" });
  program.call("chdir", ["/no/such"], { label: "b" });
  assert.equal(run(program).failure?.message, failure);
});

Deno.test.each(
  [
    { shape: "callThen", path: "/", ends: "inside: ENOENT" },
    { shape: "callThen", path: "/no/such", ends: "chdir /after: ENOENT" },
    { shape: "callOrElse", path: "/", ends: "chdir /after: ENOENT" },
    { shape: "callOrElse", path: "/no/such", ends: "inside: ENOENT" },
  ] as const,
)(
  "H6: $shape() of chdir $path takes or leaves out all steps, whoever adds them: $ends",
  async ({ shape, path, ends }) => {
    const program = new SyscallProgram();
    program[shape]({ name: "chdir", args: [path], options: { ignore: ["ENOENT"] } }, () => {
      writeFile(program, "/dev/null", { content: "a" });
      writeFile(program, "/no/such/file", { content: "", label: "inside" });
    });
    program.call("chdir", ["/after"]);
    await using child = program.start();
    await assert.rejects(child.executed(), { message: ends });
  },
);

Deno.test("slot() over allocated memory makes a result part of a struct", () => {
  using ends = pipe();
  const program = new SyscallProgram();
  const struct = program.allocate(16);
  program.call("dup3", [ends.write.number, 500, 0], { result: program.slot({ piece: struct, offset: 8 }) });
  program.call("write", [ends.write.number, struct.address, 16]);
  assert.equal(run(program).failure, undefined);
  const buffer = new DataView(new ArrayBuffer(16));
  ends.read.read(new Uint8Array(buffer.buffer));
  assert.equal(buffer.getBigUint64(8, new Uint8Array(Uint16Array.of(1).buffer)[0] === 1), 500n);
});

Deno.test.each([
  { candidates: ["/no/such", "/bin/true"], failure: undefined },
  { candidates: ["/no/such", "/etc/passwd/true"], failure: "execve: ENOTDIR" },
  { candidates: ["/etc/passwd", "/no/such"], failure: "execve: EACCES" },
  { candidates: [], failure: "execve: ENOENT" },
])("execve() of $candidates ends with $failure", ({ candidates, failure }) => {
  const program = new SyscallProgram();
  program.execve(candidates, NOTHING);
  assert.equal(run(program).failure?.message, failure);
});

Deno.test("a parked child reports, waits and executes while we go on", async () => {
  using created = pipe(0);
  using go = pipe(0);
  created.read.setNonblocking();
  const program = new SyscallProgram();
  report(program, created.write.number, { message: "created" });
  awaitByte(program, go.read.number, { label: "wait for start" });
  program.execve(["/bin/sh"], { args: ["sh", "-c", "exit $CODE"], env: ["CODE=7"] });
  await using child = program.start();
  const buffer = new Uint8Array(16);
  assert.equal(await readSome(created.read, buffer), 7);
  assert.ok(!child.reapIfEnded());
  go.write.write(buffer.subarray(0, 1));
  await child.executed();
  assert.deepEqual(await child.wait(), { code: 7 });
});

/** A child that says that it runs, and then waits for the rest of its steps. */
function begun() {
  const ends = new DisposableStack();
  const [said, planned] = [ends.use(pipe()), ends.use(pipe())];
  const program = new SyscallProgram();
  program.call("close", [planned.write.number]);
  report(program, said.write.number, { message: "1" });
  awaitByte(program, planned.read.number, { label: "wait for the plan" });
  const child = program.begin();
  said.write[Symbol.dispose]();
  return { program, child, said, planned, [Symbol.dispose]: () => ends.dispose() };
}

Deno.test("begin() lets the child work while the rest of its steps is written down", async () => {
  using birth = begun();
  const { program, child, said, planned } = birth;
  await using _child = child;
  const byte = new Uint8Array(1);
  assert.equal(await readSome(said.read, byte), 1);
  const here = program.slot();
  program.call("getpid", [], { result: here });
  program.execve(["/bin/sh"], { args: ["sh", "-c", "exit 7"], env: [] });
  program.complete();
  planned.write.write(byte);
  await child.executed();
  assert.deepEqual(await child.wait(), { code: 7 });
});

Deno.test("a step that was added after begin() is named when it fails; without an execve the child ends with 0", async () => {
  for (const path of ["/no/such", "/"]) {
    using birth = begun();
    const { program, child, planned } = birth;
    await using _child = child;
    program.call("chdir", [path]);
    program.complete();
    planned.write.write(new Uint8Array(1));
    if (path === "/") await child.executed();
    else await assert.rejects(child.executed(), { message: "chdir /no/such: ENOENT" });
    assert.deepEqual(await child.wait(), { code: path === "/" ? 0 : 127 });
  }
});

Deno.test("a child whose other steps never come ends with their writer", async () => {
  using birth = begun();
  await using child = birth.child;
  birth.planned[Symbol.dispose]();
  await assert.rejects(child.executed(), { message: "wait for the plan: EPIPE" });
});

Deno.test("executed() throws the step that failed", async () => {
  const program = new SyscallProgram();
  program.execve(["/no/such"], { ...NOTHING, label: "run the container" });
  await using child = program.start();
  const executed = assert.rejects(child.executed(), { message: "run the container: ENOENT" });
  assert.deepEqual(await child.wait(), { code: 127 });
  assert.equal(child.failure?.message, "run the container: ENOENT");
  await executed;
});

Deno.test("awaitByte() fails with EPIPE when nobody is left to write", async () => {
  const go = pipe();
  const program = new SyscallProgram();
  program.call("close", [go.write.number]);
  awaitByte(program, go.read.number, { label: "wait for start" });
  await using child = program.start();
  go[Symbol.dispose]();
  await assert.rejects(child.executed(), { message: "wait for start: EPIPE" });
});

Deno.test("a child that is killed while parked has no failure but a status", async () => {
  using go = pipe();
  const program = new SyscallProgram();
  awaitByte(program, go.read.number, { label: "wait for start" });
  await using child = program.start();
  child.kill("SIGKILL");
  await child.executed();
  assert.deepEqual(await child.wait(), { signal: 9 });
  assert.throws(() => child.kill("SIGTERM"), { code: "ESRCH" });
});

Deno.test("writeFile() leaves write and close out when it may not open", () => {
  const program = new SyscallProgram();
  writeFile(program, "/proc/self/no_such", { content: "1", ignore: ["ENOENT"] });
  writeFile(program, "/proc/self/comm", { content: "named" });
  program.call("chdir", ["/no/such"], { label: "last" });
  assert.equal(run(program).failure?.message, "last: ENOENT");
});

Deno.test("arrangeDescriptors() may swap numbers, and closes all others", async () => {
  using left = pipe();
  using right = pipe();
  using output = pipe();
  const program = new SyscallProgram();
  arrangeDescriptors(program, [
    { child: 1, fd: output.write },
    { child: left.write.number, fd: right.write },
    { child: right.write.number, fd: left.write },
  ]);
  const numbers = [left.write.number, right.write.number].sort((a, b) => a - b);
  const script = `echo left >&${right.write.number}; echo right >&${left.write.number}; echo /proc/self/fd/*`;
  // dash knows only fds of one digit.
  program.execve(["/bin/bash"], { args: ["bash", "-c", script], env: [] });
  const { failure, status } = run(program);
  assert.deepEqual([failure, status], [undefined, { code: 0 }]);
  for (const { write } of [left, right, output]) write[Symbol.dispose]();
  assert.equal(await readText(left.read), "left\n");
  assert.equal(await readText(right.read), "right\n");
  const open = (await readText(output.read)).trim().split(" ").map((path) => Number(path.split("/").at(-1)));
  assert.deepEqual(open.filter((fd) => fd > 2).sort((a, b) => a - b), numbers);
});

Deno.test("a program starts once, and frees its memory", () => {
  const program = new SyscallProgram();
  const slot = program.slot();
  run(program);
  assert.throws(() => program.start(), /twice/);
  assert.throws(() => program.string("x"), /after its end/);
  assert.throws(() => slot.value, TypeError);
});

Deno.test("the program that is executed has default signals and an empty mask", async () => {
  using output = pipe();
  const program = new SyscallProgram();
  arrangeDescriptors(program, [{ child: 1, fd: output.write }]);
  program.execve(["/bin/grep"], { args: ["grep", "^Sig[BI]", "/proc/self/status"], env: [] });
  run(program);
  output.write[Symbol.dispose]();
  assert.deepEqual(
    (await readText(output.read)).match(/[0-9a-f]{16}/g),
    Array.from({ length: 2 }, () => "0".repeat(16)),
  );
});
