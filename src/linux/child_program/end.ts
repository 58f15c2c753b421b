/** Ends of processes that others may keep from it: who may trace holds also what was killed, by PTRACE_O_TRACEEXIT. @module */
import type { Fd } from "../io/fd.ts";
import { readableWithin } from "../io/poll.ts";
import { describeProcess } from "../process/held.ts";

/** How long the end of a process may take that was killed. */
export const END_MS = 10_000;

/** Words that an end has not come. */
export function staysThere(pid: number, what: string): Error {
  return new Error(`Cannot end process ${pid}: it ${what}; seen: ${describeProcess(pid)}`);
}

/** Between looks whether a process that has ended may be reaped. */
export const LONGEST_PAUSE_MS = 100;

/** All stands still until a process is reaped, for `ms` at most. One that is traced is the tracer's to reap first. */
export function standUntil(isReaped: () => boolean, pidfd: Fd, ms: number): void {
  const end = Date.now() + ms;
  for (let left = ms; left > 0 && !isReaped(); left = end - Date.now()) {
    if (readableWithin(pidfd, left) && !isReaped()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    else return;
  }
}
