/**
 * Opening files inside a directory that holds somebody else's files: whatever `..` and symlinks it has, the kernel
 * resolves them as if the directory were `/`.
 *
 * One call, openat2(2), and its rules. `guarded_path.ts` says which rules hold for a path of two owners; `trusted.ts` looks
 * at whose each step of a path is; `directory.ts` works with single names in what is open.
 *
 * @see https://man7.org/linux/man-pages/man2/openat2.2.html
 * @module
 */
import { nameText, type RawName } from "./directory.ts";
import { isErrno } from "../ffi/errno.ts";
import { AT_FDCWD, Fd, O_CLOEXEC, O_NONBLOCK, O_PATH, O_RDONLY, pathOf } from "../io/fd.ts";
import { bind, check, cstring } from "../ffi/libc.ts";

const libc = bind({
  openat2: {
    name: "syscall",
    parameters: ["i64", /* number */ "i32", /* dir */ "buffer", /* path */ "buffer", /* open_how */ "usize" /* size */],
    result: "i64",
  },
});

/** Number of openat2(2), the same on every architecture. */
const SYS_OPENAT2 = 437;

/** Resolution rules of openat2(2). */
export const RESOLVE = {
  NO_XDEV: 0x01,
  NO_MAGICLINKS: 0x02,
  NO_SYMLINKS: 0x04,
  BENEATH: 0x08,
  IN_ROOT: 0x10,
} as const;

export interface OpenInRootOptions {
  /** `O_*`; close-on-exec is added. */
  flags: number;
  mode?: number;
  /** `RESOLVE` bits besides the scope. */
  resolve?: number;
  /** IN_ROOT unless it says otherwise: BENEATH fails with EXDEV where that would stay in the root, 0 sets no bounds. */
  scope?: number;
}

/** Bytes of a struct open_how. */
export const OPEN_HOW_SIZE = 24;

/** struct open_how. */
export function openHow(
  { flags, mode = 0, resolve = 0, scope = RESOLVE.IN_ROOT }: OpenInRootOptions,
): Uint8Array<ArrayBuffer> {
  // Three u64, whose upper halves are not used.
  return new Uint8Array(Uint32Array.of(flags | O_CLOEXEC, 0, mode, 0, resolve | scope, 0).buffer);
}

/**
 * Opens `path` as a process would whose root directory is `root`.
 *
 * @throws {ErrnoError} ELOOP also for a magic link, such as those in /proc.
 */
export function openInRoot(root: Fd, path: string | RawName, options: OpenInRootOptions): Fd {
  return openByRules(root, path, options);
}

/** Opens an absolute path by the rules of `resolve`, without bounds. */
export function openAbsolute(path: string, options: Omit<OpenInRootOptions, "scope">): Fd {
  return openByRules(undefined, path, { ...options, scope: 0 });
}

/**
 * Opens `path`, of which nothing may lead out of `directory`.
 *
 * @throws {ErrnoError} EXDEV: it does.
 */
export function openBeneath(directory: Fd, path: string, options: Omit<OpenInRootOptions, "scope">): Fd {
  return openByRules(directory, path, { ...options, scope: RESOLVE.BENEATH });
}

/** Any rename on the machine makes the kernel give up on a `..`; renames without end must not keep us trying. */
const TRIES = 100;

function openByRules(directory: Fd | undefined, path: string | RawName, options: OpenInRootOptions): Fd {
  for (let tries = 1;; tries++) {
    try {
      return tryByRules(directory, path, options);
    } catch (error) {
      if (tries === TRIES || !isErrno(error, "EAGAIN")) throw error;
    }
  }
}

function tryByRules(directory: Fd | undefined, path: string | RawName, options: OpenInRootOptions): Fd {
  const [name, how] = [typeof path === "string" ? cstring(path) : path, openHow(options)];
  const open = () => libc.openat2(SYS_OPENAT2, directory?.number ?? AT_FDCWD, name, how, how.length);
  return new Fd(check("openat2", open, typeof path === "string" ? path : nameText(path)));
}

/**
 * The text of a file by its path, links followed, as {@linkcode readTextOf}: it waits for no writer of a FIFO.
 *
 * @param options `limit` in bytes.
 */
export function readPlainText(path: string, { limit }: { limit: number }): string {
  using file = Fd.open(path, O_PATH);
  return readTextOf(file, { path, limit });
}

const CHUNK = 16 << 10;

/**
 * The text of a regular file that is open, if only as a path.
 *
 * @param options `limit` in bytes: a larger file is refused, as its writer is not trusted. `path` is for messages.
 * @throws {RangeError} It is larger, or none: a device would notice being opened.
 * @throws {ErrnoError} It cannot be opened for reading.
 */
export function readTextOf(node: Fd, { path, limit }: { path: string; limit: number }): string {
  const seen = pathOf(node);
  if (!Deno.statSync(seen).isFile) throw new RangeError(`Cannot read "${path}": no regular file`);
  // Some files of /proc are regular as well, and keep who reads them until there is something.
  using file = Fd.open(seen, O_RDONLY | O_NONBLOCK);
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(Math.min(limit + 1, CHUNK));
  let text = "";
  for (let length = 0;;) {
    const count = file.read(buffer);
    if (count === 0) return text + decoder.decode();
    length += count;
    if (length > limit) throw new RangeError(`Cannot read "${path}": larger than ${limit} bytes`);
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
}
