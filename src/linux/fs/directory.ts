/**
 * Work in a directory that is open: what a path leads to may change under somebody's hands, a descriptor stays what it is.
 * Names are of one component here; `in_root.ts` opens longer ones, `remove_tree.ts` removes what is below one.
 *
 * @module
 */
import type { Fd } from "../io/fd.ts";
import { bind, check, cstring, LITTLE_ENDIAN } from "../ffi/libc.ts";

const libc = bind({
  mkdirat: { parameters: ["i32", /* dir */ "buffer", /* name */ "u32" /* mode */], result: "i32" },
  mknodat: {
    parameters: ["i32", /* dir */ "buffer", /* name */ "u32", /* mode */ "u64" /* device */],
    result: "i32",
  },
  fchownat: {
    parameters: ["i32", /* dir */ "buffer", /* name */ "u32", /* uid */ "u32", /* gid */ "i32" /* flags */],
    result: "i32",
  },
  unlinkat: { parameters: ["i32", /* dir */ "buffer", /* name */ "i32" /* flags */], result: "i32" },
  getdents64: { parameters: ["i32", /* dir */ "buffer", "usize" /* size */], result: "isize" },
  lseek: { parameters: ["i32", /* fd */ "i64", /* offset */ "i32" /* whence */], result: "i64" },
});

const AT_REMOVEDIR = 0x200;

/** A name as the kernel has it, with the NUL at its end: it need not be UTF-8. */
export type RawName = Uint8Array<ArrayBuffer>;

/** @throws {TypeError} It is no name of one entry: it could lead out of the directory. */
export function rawName(name: string): RawName {
  if (name !== "" && name !== "." && name !== ".." && !name.includes("/")) return cstring(name);
  throw new TypeError(`Cannot use "${name}" as the name of one file`);
}

/** Makes a directory. @param mode Permission bits, before the umask. @throws {ErrnoError} EEXIST */
export function mkdirAt(directory: Fd, name: string, mode: number): void {
  const raw = rawName(name);
  check("mkdirat", () => libc.mkdirat(directory.number, raw, mode), name);
}

/**
 * Makes a pipe, a socket or a device.
 *
 * @param node `mode` with the bits of its kind, before the umask; `device` as stat(2) has it.
 * @throws {ErrnoError} EEXIST, or EPERM for a device that we may not make.
 */
export function makeNodeAt(directory: Fd, name: string, { mode, device }: { mode: number; device: number }): void {
  const raw = rawName(name);
  check("mknodat", () => libc.mknodat(directory.number, raw, mode, device), name);
}

/** Changes the owner of an entry; of a link itself, not of what it leads to. */
export function changeOwnerAt(directory: Fd, name: string, { uid, gid }: { uid: number; gid: number }): void {
  const [raw, AT_SYMLINK_NOFOLLOW] = [rawName(name), 0x100];
  check("fchownat", () => libc.fchownat(directory.number, raw, uid, gid, AT_SYMLINK_NOFOLLOW), name);
}

/** Removes an entry that is no directory; a link itself, not what it leads to. @throws {ErrnoError} EISDIR */
export function unlinkAt(directory: Fd, name: RawName): void {
  check("unlinkat", () => libc.unlinkat(directory.number, name, 0), nameText(name));
}

/** Removes a directory that is empty. @throws {ErrnoError} ENOTEMPTY, or EBUSY where something is mounted. */
export function rmdirAt(directory: Fd, name: RawName): void {
  check("unlinkat", () => libc.unlinkat(directory.number, name, AT_REMOVEDIR), nameText(name));
}

/** For messages. */
export function nameText(name: RawName): string {
  return new TextDecoder().decode(name.subarray(0, -1));
}

/** Kind of a directory's entry, as far as the file system names it in the listing. */
export type EntryKind = "directory" | "other" | "unknown";

export interface RawEntry {
  name: RawName;
  kind: EntryKind;
}

const LISTING_BYTES = 32 << 10;
const KINDS: Readonly<Record<number, EntryKind>> = { 0: "unknown", 4: "directory" };

/**
 * All entries but `.` and `..`, from the beginning; unlike those of Deno's functions, also with names that are not UTF-8.
 *
 * @param directory Open for reading; its offset is used.
 * @see https://man7.org/linux/man-pages/man2/getdents.2.html
 */
export function* listEntries(directory: Fd): Generator<RawEntry, void> {
  check("lseek", () => libc.lseek(directory.number, 0, 0));
  const buffer = new Uint8Array(LISTING_BYTES);
  const view = new DataView(buffer.buffer);
  for (;;) {
    const length = check("getdents64", () => libc.getdents64(directory.number, buffer, buffer.length));
    if (length === 0) return;
    // struct linux_dirent64: u64 inode, s64 offset, u16 length, u8 type, the name with its NUL.
    for (let at = 0; at < length; at += view.getUint16(at + 16, LITTLE_ENDIAN)) {
      const name = buffer.slice(at + 19, buffer.indexOf(0, at + 19) + 1);
      if (!isDots(name)) yield { name, kind: KINDS[buffer[at + 18]!] ?? "other" };
    }
  }
}

function isDots(name: RawName): boolean {
  const DOT = 0x2e;
  return name[0] === DOT && (name.length === 2 || (name.length === 3 && name[1] === DOT));
}
