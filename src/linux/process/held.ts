/** Reasons why a process does not go on, or does not end, as /proc tells. @module */
import { isErrno } from "../ffi/errno.ts";

/**
 * Words a process for a message: `process 7 (stopped)`, `process 7 (tracing stop, traced by process 9)`.
 *
 * Who may trace keeps a process also from the end that SIGKILL means, by PTRACE_O_TRACEEXIT.
 */
export function describeProcess(pid: number): string {
  const status = readOf(pid, "status");
  if (status === undefined) return `process ${pid} (gone)`;
  const state = /^State:\t\S+ \((.*)\)$/m.exec(status)?.[1] ?? "unknown";
  const tracer = Number(/^TracerPid:\t(\d+)$/m.exec(status)?.[1] ?? 0);
  return `process ${pid} (${state}${tracer === 0 ? "" : `, traced by process ${tracer}`})`;
}

/** Children of a process, by the number of the thread that has them: what it does by its first one. */
export function childrenOf(pid: number): number[] {
  // A kernel may be without this file.
  return (readOf(pid, `task/${pid}/children`) ?? "").split(" ").filter((word) => word !== "").map(Number);
}

function readOf(pid: number, name: string): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/${name}`);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
}
