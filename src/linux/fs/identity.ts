/**
 * Tells files apart. Inode numbers have 64 bits, of which a JavaScript number, as in `Deno.FileInfo`, keeps 53: overlay
 * file systems, Lustre and shares of Windows use all of them, and neighbours would be one number there.
 *
 * @see https://man7.org/linux/man-pages/man2/statx.2.html
 * @module
 */
import { bind, check, cstring, LITTLE_ENDIAN } from "../ffi/libc.ts";
import { AT_EMPTY_PATH, AT_FDCWD, type Fd } from "../io/fd.ts";

const libc = bind({
  statx: {
    parameters: ["i32", /* dir */ "buffer", /* path */ "i32", /* flags */ "u32", /* mask */ "buffer" /* statx */],
    result: "i32",
  },
});

const STATX_INO = 0x100;
/** Snapshots of bcachefs have the inode numbers of their origin. Zero before Linux 6.10 and on other file systems. */
const STATX_SUBVOL = 0x8000;

/**
 * Identifies a file: equal texts, the same file, as long as it exists.
 *
 * @param file A path is followed. @returns `MAJOR:MINOR:SUBVOLUME:INODE`, in decimal. @throws {ErrnoError}
 */
export function fileIdentity(file: Fd | string): string {
  const [directory, path, flags] = typeof file === "string"
    ? [AT_FDCWD, file, 0] as const
    : [file.number, "", AT_EMPTY_PATH] as const;
  const stat = new Uint8Array(256);
  const name = cstring(path);
  check("statx", () => libc.statx(directory, name, flags, STATX_INO | STATX_SUBVOL, stat), path);
  const view = new DataView(stat.buffer);
  // struct statx: stx_ino at 32, stx_dev_major at 136, stx_dev_minor at 140, stx_subvol at 160.
  const [major, minor] = [view.getUint32(136, LITTLE_ENDIAN), view.getUint32(140, LITTLE_ENDIAN)];
  return [major, minor, view.getBigUint64(160, LITTLE_ENDIAN), view.getBigUint64(32, LITTLE_ENDIAN)].join(":");
}
