/** Named pipes. @see https://man7.org/linux/man-pages/man7/fifo.7.html @module */
import { bind, check, cstring } from "../ffi/libc.ts";

const libc = bind({ mkfifo: { parameters: ["buffer", /* path */ "u32" /* mode */], result: "i32" } });

/** @param mode Permission bits, before the umask. @throws {ErrnoError} EEXIST */
export function makeFifo(path: string, mode: number): void {
  const name = cstring(path);
  check("mkfifo", () => libc.mkfifo(name, mode), path);
}
