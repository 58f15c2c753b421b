import assert from "node:assert/strict";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { setWord } from "../child_program/memory.ts";
import { onlyCalls } from "./seccomp_only.ts";
import { SIGNALS } from "../process/signal.ts";
import { SyscallProgram } from "../child_program/program.ts";

const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;

Deno.test.each(
  [
    { call: "getpid", end: { code: 0 } },
    { call: "umask", end: { code: 0 } },
    { call: "setsid", end: { signal: SIGNALS.SIGSYS } },
    { call: "getppid", end: { signal: SIGNALS.SIGSYS } },
  ] as const,
)("onlyCalls() of getpid and umask ends a process that calls $call: $end", ({ call, end }) => {
  const program = new SyscallProgram();
  const filter = onlyCalls(["getpid", "umask", "exit_group"]);
  const { address, view } = program.allocate(16);
  view.setUint16(0, filter.length / 8, LITTLE_ENDIAN);
  setWord(view, 8, program.bytes(filter));
  program.call("prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
  program.call("seccomp", [SECCOMP_SET_MODE_FILTER, 0, address]);
  program.call(call, [0]);
  program.call("exit_group", [0]);
  const child = program.start({ vfork: true });
  assert.deepEqual(child.waitSync(), end);
});
