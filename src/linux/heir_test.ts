import assert from "node:assert/strict";
import { pipe } from "./fd.ts";
import { awaitByte, bearHeir, report } from "./steps.ts";
import { SyscallProgram } from "./syscall_program.ts";

Deno.test("bearHeir() leaves a child of ours that runs the rest of the steps", async () => {
  const program = new SyscallProgram();
  program.call("umask", [0o22]);
  const heir = bearHeir(program);
  program.execve(["/bin/sh"], { args: ["sh", "-c", "exit 7"], env: [] });
  await using child = program.start({ heir });
  await child.executed();
  await using successor = child.inherit();
  assert.deepEqual(child.status, { code: 0 });
  assert.notEqual(successor.pid, child.pid);
  assert.deepEqual(await successor.wait(), { code: 7 });
});

Deno.test("bearHeir(), early, leaves the steps to a process that is known before its execve", async () => {
  const hold = pipe();
  const reports = pipe();
  const program = new SyscallProgram();
  const heir = bearHeir(program, { early: true });
  report(program, reports.write.number, { message: "h" });
  awaitByte(program, hold.read.number, { label: "wait" });
  program.execve(["/bin/sh"], { args: ["sh", "-c", "exit 7"], env: [] });
  await using child = program.start({ successor: heir });
  assert.equal(reports.read.read(new Uint8Array(1)), 1);
  await using successor = child.succeed();
  assert.deepEqual(child.status, { code: 0 });
  assert.notEqual(successor.pid, child.pid);
  hold.write.write(new Uint8Array(1));
  await successor.executed();
  assert.deepEqual(await successor.wait(), { code: 7 });
  for (const fd of [hold.read, hold.write, reports.read, reports.write]) fd[Symbol.dispose]();
});

Deno.test("an early heir that is not asked for goes with the child", async () => {
  const hold = pipe();
  const reports = pipe();
  const program = new SyscallProgram();
  const successor = bearHeir(program, { early: true });
  report(program, reports.write.number, { message: "h" });
  awaitByte(program, hold.read.number, { label: "wait for ever" });
  const child = program.start({ successor });
  reports.write[Symbol.dispose]();
  assert.equal(reports.read.read(new Uint8Array(1)), 1);
  await child[Symbol.asyncDispose]();
  assert.equal(reports.read.read(new Uint8Array(1)), 0); // the heir had the other end
  for (const fd of [hold.read, hold.write, reports.read]) fd[Symbol.dispose]();
});

Deno.test("bearHeir() tells of a step of the heir that fails", async () => {
  const program = new SyscallProgram();
  const heir = bearHeir(program);
  program.call("chdir", ["/no/such"]);
  program.execve(["/bin/true"], { args: ["true"], env: [] });
  await using child = program.start({ heir });
  await assert.rejects(child.executed(), /chdir \/no\/such: ENOENT/);
  await using successor = child.inherit();
  assert.deepEqual(await successor.wait(), { code: 127 });
});
