/**
 * File descriptors that are owned by a scope, and the calls that make them. All of them are close-on-exec.
 *
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { bind, check, cstring, rawRead, rawWrite } from "../ffi/libc.ts";

const libc = bind({
  open: { parameters: ["buffer", /* path */ "i32", /* flags */ "u32" /* mode */], result: "i32" },
  openat: { parameters: ["i32", /* dir */ "buffer", /* path */ "i32", /* flags */ "u32" /* mode */], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  fcntl: { parameters: ["i32", /* fd */ "i32", /* command */ "i64" /* argument */], result: "i32" },
  pipe2: { parameters: ["buffer", /* int[2] */ "i32" /* flags */], result: "i32" },
  eventfd: { parameters: ["u32", /* initial */ "i32" /* flags */], result: "i32" },
  memfd_create: { parameters: ["buffer", /* name */ "u32" /* flags */], result: "i32" },
  pwrite: { parameters: ["i32", /* fd */ "buffer", "usize", /* count */ "i64" /* offset */], result: "isize" },
  ftruncate: { parameters: ["i32", /* fd */ "i64" /* length */], result: "i32" },
});

const isArm = Deno.build.arch === "aarch64";

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DIRECTORY: number = isArm ? 0o40000 : 0o200000;
export const O_NOFOLLOW: number = isArm ? 0o100000 : 0o400000;
export const O_DIRECT: number = isArm ? 0o200000 : 0o40000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;

/** Relative paths of `*at` calls start at the working directory. */
export const AT_FDCWD = -100;
/** An empty path of an `*at` call is the descriptor itself. */
export const AT_EMPTY_PATH = 0x1000;

const F_GETFD = 1;
export const F_SETFD = 2;
export const FD_CLOEXEC = 1;
const F_GETFL = 3;
const F_SETFL = 4;
export const F_DUPFD_CLOEXEC = 1030;

/** An open file descriptor. Its owner disposes it, or {@linkcode release}s it to another owner. */
export class Fd implements Disposable {
  #number: number;
  #waiters: Set<() => void> | undefined;

  /** @param number An open descriptor that nobody else will close. */
  constructor(number: number) {
    this.#number = number;
  }

  /**
   * @param flags `O_*`; close-on-exec is added.
   * @param mode Permission bits of a new file, before the umask.
   * @throws {ErrnoError} `open /no/such: ENOENT`
   */
  static open(path: string, flags: number, mode = 0): Fd {
    const name = cstring(path);
    return new Fd(check("open", () => libc.open(name, flags | O_CLOEXEC, mode), path));
  }

  /** Opens a path relative to a directory. */
  static openAt(directory: Fd, path: string, options: { flags: number; mode?: number }): Fd {
    const { flags, mode = 0 } = options;
    const name = cstring(path);
    return new Fd(check("openat", () => libc.openat(directory.number, name, flags | O_CLOEXEC, mode), path));
  }

  /** @throws {Error} It was closed or released. */
  get number(): number {
    if (this.#number < 0) throw new Error("Cannot use a file descriptor after its end");
    return this.#number;
  }

  get isOpen(): boolean {
    return this.#number >= 0;
  }

  /**
   * Has `onEnd` called before the descriptor is closed or given away: who waits for it must not go on to wait for its
   * number, which may soon be another file's.
   *
   * @returns To be disposed when the wait is over.
   */
  whileOpen(onEnd: () => void): Disposable {
    const waiters = this.#waiters ??= new Set();
    waiters.add(onEnd);
    return { [Symbol.dispose]: () => void waiters.delete(onEnd) };
  }

  /** One read(2). @returns Bytes read, 0 at the end of the file. */
  read(buffer: Uint8Array<ArrayBuffer>): number {
    return check("read", () => rawRead(this.number, buffer));
  }

  /** One write(2). @returns Bytes written, perhaps less than given. */
  write(data: Uint8Array<ArrayBuffer>): number {
    return check("write", () => rawWrite(this.number, data));
  }

  /** Writes all of `data` to a blocking descriptor. */
  writeAll(data: Uint8Array<ArrayBuffer>): void {
    for (let rest = data; rest.length > 0;) rest = rest.subarray(this.write(rest));
  }

  /** Writes all of `data` to a file, from `offset` on; the descriptor's own offset stays where it is. */
  writeAllAt(data: Uint8Array<ArrayBuffer>, offset: number): void {
    for (let done = 0; done < data.length;) {
      const rest = data.subarray(done);
      done += check("pwrite", () => libc.pwrite(this.number, rest, rest.length, offset + done));
    }
  }

  /**
   * A second descriptor of the same open file; they share offset and status flags.
   *
   * @param least Its number is at least this.
   * @throws {ErrnoError} EINVAL if `least` is beyond RLIMIT_NOFILE.
   */
  dup(least = 3): Fd {
    return new Fd(check("dup", () => libc.fcntl(this.number, F_DUPFD_CLOEXEC, least)));
  }

  /** Sets O_NONBLOCK, for everybody who shares the open file. */
  setNonblocking(): void {
    this.#changeFlags((flags) => flags | O_NONBLOCK);
  }

  /** Clears O_NONBLOCK, for everybody who shares the open file. */
  setBlocking(): void {
    this.#changeFlags((flags) => flags & ~O_NONBLOCK);
  }

  #changeFlags(change: (flags: number) => number): void {
    const flags = check("fcntl", () => libc.fcntl(this.number, F_GETFL, 0));
    if (change(flags) !== flags) check("fcntl", () => libc.fcntl(this.number, F_SETFL, change(flags)));
  }

  /** Gives the descriptor away: it stays open and this object no longer owns it. Whoever waits for it gets an error. */
  release(): number {
    const number = this.number;
    for (const onEnd of this.#waiters ?? []) onEnd();
    this.#number = -1;
    return number;
  }

  /** Closes; a second call does nothing. Whoever waits for it gets an error. */
  [Symbol.dispose](): void {
    if (this.#number < 0) return;
    // Linux frees the number even when close reports EINTR: a second close might hit somebody else's file.
    libc.close(this.release());
  }
}

/** A path that leads to what is open, whatever has become of its own, for calls that take no descriptor. */
export function pathOf(file: Fd): string {
  return `/proc/self/fd/${file.number}`;
}

/** Both ends of a pipe; disposing it closes those that were not released. */
export interface Pipe extends Disposable {
  readonly read: Fd;
  readonly write: Fd;
}

/** @param flags O_NONBLOCK for both ends; close-on-exec is added. */
export function pipe(flags = 0): Pipe {
  const ends = new Int32Array(2);
  check("pipe2", () => libc.pipe2(ends, flags | O_CLOEXEC));
  const read = new Fd(ends[0]!);
  const write = new Fd(ends[1]!);
  return {
    read,
    write,
    [Symbol.dispose]() {
      read[Symbol.dispose]();
      write[Symbol.dispose]();
    },
  };
}

/**
 * A counter that polls readable while it is not zero; it never blocks.
 *
 * @see https://man7.org/linux/man-pages/man2/eventfd.2.html
 */
export function eventfd(initial = 0): Fd {
  return new Fd(check("eventfd", () => libc.eventfd(initial, O_CLOEXEC | O_NONBLOCK)));
}

/** An anonymous file in memory, holding `content`, its offset at 0. */
export function memfd(name: string, content: Uint8Array<ArrayBuffer> = new Uint8Array()): Fd {
  const fd = createMemfd(name, MFD_CLOEXEC);
  fd.writeAllAt(content, 0);
  return fd;
}

export const F_ADD_SEALS = 1033;
/** Seals against whoever has the file, for good; `futureWrite` spares those who have mapped it already. */
export const SEAL = { seal: 1, shrink: 2, grow: 4, write: 8, futureWrite: 0x10 } as const;

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;

function createMemfd(name: string, flags: number): Fd {
  const cname = cstring(name);
  return new Fd(check("memfd_create", () => libc.memfd_create(cname, flags), name));
}

/** An empty file in memory that whoever has it may seal by {@linkcode F_ADD_SEALS}. */
export function sealableMemfd(name: string): Fd {
  return createMemfd(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

/** A file in memory that nobody can change from now on, whoever opens it anew. @param pieces What is between is zeros. */
export function sealedMemfd(name: string, pieces: readonly { offset: number; content: Uint8Array<ArrayBuffer> }[]): Fd {
  const SEAL_ALL = SEAL.seal | SEAL.shrink | SEAL.grow | SEAL.write;
  using undo = new DisposableStack();
  const fd = undo.use(sealableMemfd(name));
  for (const { offset, content } of pieces) fd.writeAllAt(content, offset);
  check("fcntl", () => libc.fcntl(fd.number, F_ADD_SEALS, SEAL_ALL), name);
  undo.move();
  return fd;
}

/** Gives a file this size; what is new reads as zeros. */
export function setFileSize(fd: Fd, bytes: number): void {
  check("ftruncate", () => libc.ftruncate(fd.number, bytes));
}

/** Whether a descriptor is one that our caller has given us: those that we open ourselves are all close-on-exec. */
export function isInherited(number: number): boolean {
  try {
    return (check("fcntl", () => libc.fcntl(number, F_GETFD, 0)) & FD_CLOEXEC) === 0;
  } catch (error) {
    if (isErrno(error, "EBADF")) return false;
    throw error;
  }
}
