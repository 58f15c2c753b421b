import assert from "node:assert/strict";
import { type Child, reapChildren } from "./child.ts";
import { pipe } from "../io/fd.ts";
import { awaitByte, forkStage2, report } from "./calls.ts";
import { SyscallProgram } from "./program.ts";

const APART = { apart: { keeps: [] } };

Deno.test("forkStage2() leaves a child of ours that runs the rest of the steps", async () => {
  const program = new SyscallProgram(APART);
  program.call("umask", [0o22]);
  const stage2 = forkStage2(program);
  program.execve(["/bin/sh"], { args: ["sh", "-c", "exit 7"], env: [] });
  await using child = program.start({ stage2 });
  await child.executed();
  await using replacement = child.inherit();
  assert.deepEqual(child.status, { code: 0 });
  assert.notEqual(replacement.pid, child.pid);
  assert.deepEqual(await replacement.wait(), { code: 7 });
});

Deno.test.each([
  { reaper: "who takes over", reap: () => {} },
  { reaper: "who reaps all that end, as a machine's first process does", reap: (child: Child) => child.waitSync() },
])(
  "forkStage2() leaves the steps to a process that can take over before its execve, reaped by $reaper",
  async ({ reap }) => {
    using hold = pipe();
    using reports = pipe();
    const keeps = [hold.read.number, reports.write.number];
    const program = new SyscallProgram({ apart: { keeps } });
    const stage2 = forkStage2(program);
    report(program, reports.write.number, { message: "h" });
    awaitByte(program, hold.read.number, { label: "wait" });
    program.execve(["/bin/sh"], { args: ["sh", "-c", "exit 7"], env: [] });
    await using child = program.start({ replacement: stage2 });
    assert.equal(reports.read.read(new Uint8Array(1)), 1);
    reap(child);
    await using replacement = child.succeed();
    assert.deepEqual(child.status, { code: 0 });
    assert.notEqual(replacement.pid, child.pid);
    hold.write.write(new Uint8Array(1));
    await replacement.executed();
    assert.deepEqual(await replacement.wait(), { code: 7 });
  },
);

Deno.test.each(
  [
    { as: "stage2" },
    { as: "replacement" },
  ] as const,
)("a stage-2 child that nobody has asked for goes with the child, given as $as", async ({ as }) => {
  using hold = pipe();
  using reports = pipe();
  const program = new SyscallProgram({ apart: { keeps: [hold.read.number, reports.write.number] } });
  const stage2 = forkStage2(program);
  report(program, reports.write.number, { message: "h" });
  awaitByte(program, hold.read.number, { label: "wait for ever" });
  const child = program.start({ [as]: stage2 });
  reports.write[Symbol.dispose]();
  assert.equal(reports.read.read(new Uint8Array(1)), 1);
  await child[Symbol.asyncDispose]();
  assert.equal(reports.read.read(new Uint8Array(1)), 0); // the stage-2 child had the other end
});

Deno.test("a stage-2 child that has failed leaves nothing to be reaped, though nobody asks for it", async () => {
  const program = new SyscallProgram(APART);
  const stage2 = forkStage2(program);
  program.execve(["/no/such"], { args: ["such"], env: [] });
  const child = program.start({ stage2 });
  await assert.rejects(child.executed(), /ENOENT/);
  await child[Symbol.asyncDispose]();
  assert.deepEqual(reapChildren(), []);
});

Deno.test("forkStage2() tells of a step of the stage-2 child that fails, though it shares no memory with us", async () => {
  const program = new SyscallProgram(APART);
  const stage2 = forkStage2(program);
  program.call("chdir", ["/no/such"]);
  program.execve(["/bin/true"], { args: ["true"], env: [] });
  await using child = program.start({ stage2 });
  await assert.rejects(child.executed(), /chdir \/no\/such: ENOENT/);
  await using replacement = child.inherit();
  assert.deepEqual(await replacement.wait(), { code: 127 });
});

Deno.test("a stage-2 child that has ended before it is asked for keeps its status, also where all that end are reaped", async () => {
  using life = pipe();
  const program = new SyscallProgram({ apart: { keeps: [life.write.number] } });
  program.call("dup3", [life.write.number, 1, 0]);
  const stage2 = forkStage2(program);
  program.execve(["/bin/sh"], { args: ["sh", "-c", "exit 7"], env: [] });
  await using child = program.start({ stage2 });
  life.write[Symbol.dispose]();
  await child.executed();
  assert.equal(life.read.read(new Uint8Array(1)), 0);
  // As a machine's first process does, which may hear of the end first.
  for (let count = 0; count < 3; count++) assert.deepEqual(reapChildren(), []);
  await using replacement = child.inherit();
  assert.deepEqual(await replacement.wait(), { code: 7 });
});
