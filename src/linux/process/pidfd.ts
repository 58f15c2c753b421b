/**
 * Processes by descriptor: a pid may be given to another process at any time, a pidfd never means another one.
 *
 * @see https://man7.org/linux/man-pages/man2/pidfd_open.2.html
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { Fd } from "../io/fd.ts";
import { bind, check } from "../ffi/libc.ts";
import { syscallNumber } from "../child_program/syscall_numbers.ts";

const libc = bind({
  pidfdOpen: { name: "syscall", parameters: ["i64", "i32", /* pid */ "u32" /* flags */], result: "i64" },
  pidfdGetfd: {
    name: "syscall",
    parameters: ["i64", "i32", /* pidfd */ "i32", /* their fd */ "u32" /* flags */],
    result: "i64",
  },
  pidfdSendSignal: {
    name: "syscall",
    parameters: ["i64", "i32", /* pidfd */ "i32", /* signal */ "pointer", "u32" /* flags */],
    result: "i64",
  },
});

/** @throws {ErrnoError} ESRCH: there is no such process. */
export function openPidfd(pid: number): Fd {
  return new Fd(check("pidfd_open", () => libc.pidfdOpen(syscallNumber("pidfd_open"), pid, 0), String(pid)));
}

/**
 * A copy of a descriptor that another process has open.
 *
 * @param number What the process itself calls it.
 * @throws {ErrnoError} EPERM: we could not trace the process either.
 * @see https://man7.org/linux/man-pages/man2/pidfd_getfd.2.html
 */
export function takeDescriptor(pidfd: Fd, number: number): Fd {
  const take = () => libc.pidfdGetfd(syscallNumber("pidfd_getfd"), pidfd.number, number, 0);
  return new Fd(check("pidfd_getfd", take, String(number)));
}

/**
 * Sends a signal.
 *
 * @param signal By number; 0 only asks whether there is a process.
 * @returns False if the process has ended.
 * @throws {ErrnoError} EPERM, or EINVAL for a number that is no signal.
 */
export function sendSignal(pidfd: Fd, signal: number): boolean {
  const number = syscallNumber("pidfd_send_signal");
  try {
    check("pidfd_send_signal", () => libc.pidfdSendSignal(number, pidfd.number, signal, null, 0), String(signal));
    return true;
  } catch (error) {
    if (isErrno(error, "ESRCH")) return false;
    throw error;
  }
}
