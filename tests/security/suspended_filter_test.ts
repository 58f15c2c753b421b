/** F4: others write to the memory of a process whose filter is suspended. Needs root. */
import assert from "node:assert/strict";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";
import { pipe } from "../../src/linux/io/fd.ts";
import { readable } from "../../src/linux/io/poll.ts";
import { compileSeccomp } from "../../src/linux/security/seccomp.ts";
import { SuspendedFilter } from "../../src/linux/security/suspended_filter.ts";
import { awaitByte, CLONE_PTRACE, forkStage2, report } from "../../src/linux/child_program/calls.ts";
import { SyscallProgram } from "../../src/linux/child_program/program.ts";
import type { SyscallName } from "../../src/linux/child_program/syscall_numbers.ts";
import { loadSeccomp } from "../../src/oci/init/filter_steps.ts";

const ignore = leftOutUnlessRoot(import.meta);

/** All but the last are told before, and are forbidden by the filter. */
async function appear(call: SyscallName): Promise<string> {
  using go = pipe();
  using said = pipe();
  using wait = pipe();
  const program = new SyscallProgram({
    apart: { keeps: [go.read, said.write, wait.read].map(({ number }) => number) },
  });
  awaitByte(program, go.read.number, { label: "wait" });
  const syscalls = [{ names: ["setsid", "umask"], action: "SCMP_ACT_ERRNO", errnoRet: 1 }];
  loadSeccomp(program, compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW", syscalls }));
  const stage2 = forkStage2(program, { flags: CLONE_PTRACE });
  program.call(call, []);
  report(program, said.write.number, { message: "x" });
  awaitByte(program, wait.read.number, { label: "wait" });
  program.call("exit_group", [0]);
  await using child = program.start({ stage2 });
  for (const end of [go.read, said.write, wait.read]) end[Symbol.dispose]();
  await using filter = await SuspendedFilter.of(child.pid, {
    calls: [{ name: "setsid" }, { name: "write" }, { name: "read" }],
    explain: (failure) => failure,
    explainOther: () => new Error("tampered with"),
  });
  go.write.write(new Uint8Array(1));
  await readable(said.read);
  const word = new Uint8Array(1);
  const heard = said.read.read(word) === 1 ? "went on" : "failed";
  await filter.end();
  return heard;
}

Deno.test(
  { name: "SuspendedFilter lets a child make the calls that were told, which its filter forbids", ignore },
  async () => {
    assert.equal(await appear("setsid"), "went on");
  },
);

Deno.test({ name: "F4: SuspendedFilter is over before a child makes another call than was told", ignore }, async () => {
  await assert.rejects(appear("umask"), { message: "tampered with" });
});
