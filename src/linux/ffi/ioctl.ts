/**
 * ioctl(2), with requests that carry their name so that an error can say what was refused.
 *
 * @see https://man7.org/linux/man-pages/man2/ioctl.2.html
 * @module
 */
import type { Fd } from "../io/fd.ts";
import { bind, check } from "./libc.ts";

const libc = bind({
  withBuffer: { name: "ioctl", parameters: ["i32", /* fd */ "u64", /* request */ "buffer"], result: "i32" },
  withNumber: { name: "ioctl", parameters: ["i32", /* fd */ "u64", /* request */ "i64"], result: "i32" },
});

/** A request: its name in the kernel's headers and its number, which is the same on x86-64 and aarch64. */
export interface IoctlRequest {
  name: string;
  number: number;
}

/** Argument of an ioctl(2), and a subject for its error. */
export interface IoctlCall {
  /** A struct that the kernel reads or fills, or a plain number. */
  argument?: Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | BigUint64Array<ArrayBuffer> | number;
  /** For the error, such as a path. */
  detail?: string;
}

/**
 * Makes a request of a driver.
 *
 * @returns What the driver returns.
 * @throws {ErrnoError} `TUNSETIFF tap0: EBUSY`
 */
export function ioctl(fd: Fd, { name, number }: IoctlRequest, { argument = 0, detail }: IoctlCall = {}): number {
  return check(
    name,
    () =>
      typeof argument === "number"
        ? libc.withNumber(fd.number, number, argument)
        : libc.withBuffer(fd.number, number, argument),
    detail,
  );
}
