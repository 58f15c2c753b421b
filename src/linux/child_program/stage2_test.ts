import assert from "node:assert/strict";
import { type Child, reapChildren } from "./child.ts";
import { pipe } from "../io/fd.ts";
import { awaitByte, bearHeir, report } from "./calls.ts";
import { SyscallProgram } from "./program.ts";

const APART = { apart: { keeps: [] } };

Deno.test("bearHeir() leaves a child of ours that runs the rest of the steps", async () => {
  const program = new SyscallProgram(APART);
  program.call("umask", [0o22]);
  program.part();
  const heir = bearHeir(program);
  program.execve(["/bin/sh"], { args: ["sh", "-c", "exit 7"], env: [] });
  await using child = program.start({ heir });
  await child.executed();
  await using successor = child.inherit();
  assert.deepEqual(child.status, { code: 0 });
  assert.notEqual(successor.pid, child.pid);
  assert.deepEqual(await successor.wait(), { code: 7 });
});

Deno.test.each([
  { reaper: "who takes over", reap: () => {} },
  { reaper: "who reaps all that end, as a machine's first process does", reap: (child: Child) => child.waitSync() },
])(
  "bearHeir() leaves the steps to a process that can take over before its execve, reaped by $reaper",
  async ({ reap }) => {
    using hold = pipe();
    using reports = pipe();
    const keeps = [hold.read.number, reports.write.number];
    const program = new SyscallProgram({ apart: { keeps } });
    const heir = bearHeir(program);
    report(program, reports.write.number, { message: "h" });
    awaitByte(program, hold.read.number, { label: "wait" });
    program.execve(["/bin/sh"], { args: ["sh", "-c", "exit 7"], env: [] });
    await using child = program.start({ successor: heir });
    assert.equal(reports.read.read(new Uint8Array(1)), 1);
    reap(child);
    await using successor = child.succeed();
    assert.deepEqual(child.status, { code: 0 });
    assert.notEqual(successor.pid, child.pid);
    hold.write.write(new Uint8Array(1));
    await successor.executed();
    assert.deepEqual(await successor.wait(), { code: 7 });
  },
);

Deno.test.each(
  [
    { as: "heir" },
    { as: "successor" },
  ] as const,
)("an heir that nobody has asked for goes with the child, given as $as", async ({ as }) => {
  using hold = pipe();
  using reports = pipe();
  const program = new SyscallProgram({ apart: { keeps: [hold.read.number, reports.write.number] } });
  const heir = bearHeir(program);
  report(program, reports.write.number, { message: "h" });
  awaitByte(program, hold.read.number, { label: "wait for ever" });
  const child = program.start({ [as]: heir });
  reports.write[Symbol.dispose]();
  assert.equal(reports.read.read(new Uint8Array(1)), 1);
  await child[Symbol.asyncDispose]();
  assert.equal(reports.read.read(new Uint8Array(1)), 0); // the heir had the other end
});

Deno.test("an heir that has failed leaves nothing to be reaped, though nobody asks for it", async () => {
  const program = new SyscallProgram(APART);
  const heir = bearHeir(program.part());
  program.execve(["/no/such"], { args: ["such"], env: [] });
  const child = program.start({ heir });
  await assert.rejects(child.executed(), /ENOENT/);
  await child[Symbol.asyncDispose]();
  assert.deepEqual(reapChildren(), []);
});

Deno.test("bearHeir() tells of a step of the heir that fails, though it shares no memory with us", async () => {
  const program = new SyscallProgram(APART);
  program.part();
  const heir = bearHeir(program);
  program.call("chdir", ["/no/such"]);
  program.execve(["/bin/true"], { args: ["true"], env: [] });
  await using child = program.start({ heir });
  await assert.rejects(child.executed(), /chdir \/no\/such: ENOENT/);
  await using successor = child.inherit();
  assert.deepEqual(await successor.wait(), { code: 127 });
});

Deno.test("an heir that has ended before it is asked for keeps its status, also where all that end are reaped", async () => {
  using life = pipe();
  const program = new SyscallProgram({ apart: { keeps: [life.write.number] } });
  program.call("dup3", [life.write.number, 1, 0]);
  const heir = bearHeir(program.part());
  program.execve(["/bin/sh"], { args: ["sh", "-c", "exit 7"], env: [] });
  await using child = program.start({ heir });
  life.write[Symbol.dispose]();
  await child.executed();
  assert.equal(life.read.read(new Uint8Array(1)), 0);
  // As a machine's first process does, which may hear of the end first.
  for (let count = 0; count < 3; count++) assert.deepEqual(reapChildren(), []);
  await using successor = child.inherit();
  assert.deepEqual(await successor.wait(), { code: 7 });
});
