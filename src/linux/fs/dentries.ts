/** Names of a file system in the kernel's cache. @module */
import { AT_FDCWD, Fd } from "../io/fd.ts";
import { bind, check, cstring } from "../ffi/libc.ts";
import { syscallNumber } from "../child_program/syscall_numbers.ts";

const libc = bind({
  fspick: {
    name: "syscall",
    parameters: ["i64", "i32", /* dfd */ "buffer", /* path */ "u32" /* flags */],
    result: "i64",
  },
  fsconfig: {
    name: "syscall",
    parameters: ["i64", "i32", /* fd */ "u32", /* command */ "buffer", /* key */ "buffer", /* value */ "i32" /* aux */],
    result: "i64",
  },
});

const FSPICK_CLOEXEC = 1;
const FSCONFIG_CMD_RECONFIGURE = 7;

/**
 * Makes the kernel forget the names in one file system that nobody uses, and their inodes: the server of the file
 * system, such as virtiofsd, holds a descriptor for each of them until then. A remount that changes nothing drops them;
 * other file systems, those mounted below included, keep theirs.
 *
 * @param mountPoint Where the file system is mounted.
 * @throws {ErrnoError} EINVAL: nothing is mounted there.
 */
export function forgetUnusedNames(mountPoint: string): void {
  const path = cstring(mountPoint);
  const pick = () => libc.fspick(syscallNumber("fspick"), AT_FDCWD, path, FSPICK_CLOEXEC);
  using fs = new Fd(check("fspick", pick, mountPoint));
  const reconfigure = () =>
    libc.fsconfig(syscallNumber("fsconfig"), fs.number, FSCONFIG_CMD_RECONFIGURE, null, null, 0);
  check("fsconfig", reconfigure, mountPoint);
}
