/** Signals of a child as a program expects to find them. @module */
import { type Step, systemCall } from "./call.ts";
import type { ProgramMemory } from "./memory.ts";
import { SIGNALS } from "../process/signal.ts";

export const SIG_SETMASK = 2;
export const SIGSET_SIZE = 8;

/** Signals whose ignoring survives clone and exec: ignored by us, or by our parent (nohup, a shell's `&` or `trap`). */
const PERHAPS_IGNORED = Array.from({ length: 64 }, (_, index) => index + 1)
  .filter((signal) => signal !== SIGNALS.SIGKILL && signal !== SIGNALS.SIGSTOP);

/** Before anything else: CLONE_CLEAR_SIGHAND has left only what was ignored. */
export function resetSignals(memory: Pick<ProgramMemory, "allocate">): Step[] {
  const defaultAction = memory.allocate(32).address;
  const emptySet = memory.allocate(SIGSET_SIZE).address;
  return [
    ...PERHAPS_IGNORED.map((signal) => systemCall("rt_sigaction", [signal, defaultAction, 0, SIGSET_SIZE])),
    systemCall("rt_sigprocmask", [SIG_SETMASK, emptySet, 0, SIGSET_SIZE]),
  ];
}
