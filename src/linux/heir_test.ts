import assert from "node:assert/strict";
import { bearHeir } from "./steps.ts";
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
