/**
 * How processes end, as waitid(2) tells. A process of ours is reaped by its `Child` and nowhere else.
 *
 * @see https://man7.org/linux/man-pages/man2/waitid.2.html
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { bind, check, LITTLE_ENDIAN } from "../ffi/libc.ts";

const libc = bind({
  waitid: {
    parameters: ["i32", /* idtype */ "i32", /* id */ "buffer", /* siginfo */ "i32" /* options */],
    result: "i32",
  },
});

/** How a process ended. */
export type ExitStatus = { readonly code: number } | { readonly signal: number };

/** The one number that shells and containerd speak of: 128 + n for a process that signal n ended (B1). */
export function exitCode(status: ExitStatus): number {
  return "code" in status ? status.code : 128 + status.signal;
}

const P_ALL = 0;
/** A process by its number, or by its descriptor. */
export const P_PID = 1;
export const P_PIDFD = 3;
export const WNOHANG = 1;
export const WEXITED = 4;
const WNOWAIT = 0x1000000;
const CLD_EXITED = 1;

/** A process that has been reaped. */
export interface Ended {
  pid: number;
  status: ExitStatus;
}

/** Reaps one. @returns undefined if none of them has ended. */
export function waitFor({ idtype, id }: { idtype: number; id: number }, options: number): Ended | undefined {
  const info = new DataView(new ArrayBuffer(128)); // siginfo_t
  check("waitid", () => libc.waitid(idtype, id, info, options));
  const pid = info.getInt32(16, LITTLE_ENDIAN);
  if (pid === 0) return undefined;
  const value = info.getInt32(24, LITTLE_ENDIAN);
  return { pid, status: info.getInt32(8, LITTLE_ENDIAN) === CLD_EXITED ? { code: value } : { signal: value } };
}

/** @returns One of our processes that has ended, which stays to be reaped; undefined if there is none. */
export function peekEnded(): Ended | undefined {
  try {
    return waitFor({ idtype: P_ALL, id: 0 }, WEXITED | WNOHANG | WNOWAIT);
  } catch (error) {
    if (isErrno(error, "ECHILD")) return undefined;
    throw error;
  }
}
