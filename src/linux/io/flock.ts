/** Locks between processes, which end with the process that holds them. @module */
import { isErrno } from "../ffi/errno.ts";
import type { Fd } from "./fd.ts";
import { bind, check } from "../ffi/libc.ts";

const libc = bind({ flock: { parameters: ["i32", /* fd */ "i32" /* operation */], result: "i32" } });

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Locks an open file or directory against every other opening of it.
 *
 * @param options `shared`: others may have it too, if they share it as well.
 * @returns Whether we have the lock; false if another has it. Closing the last copy of the descriptor lets go of it.
 * @see https://man7.org/linux/man-pages/man2/flock.2.html
 */
export function tryLock(fd: Fd, { shared = false }: { shared?: boolean } = {}): boolean {
  try {
    check("flock", () => libc.flock(fd.number, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB));
    return true;
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return false;
    throw error;
  }
}
