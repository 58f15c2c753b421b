/**
 * Waiting for descriptors of any kind (pidfd, eventfd, pipe, socket, tty) without blocking the event loop: one thread
 * waits in epoll for all of them, and only while somebody waits. Reading and writing are synchronous calls on
 * descriptors that do not block, so bulk data never waits for a thread.
 *
 * @see https://man7.org/linux/man-pages/man7/epoll.7.html
 * @module
 */
import { MAX_TIMER_MS } from "../../base/clock.ts";
import { ERRNO, ErrnoError } from "../ffi/errno.ts";
import type { Fd } from "./fd.ts";
import { Poller } from "./poller.ts";
import { bind, check, lastErrno, LITTLE_ENDIAN, rawRead, rawWrite } from "../ffi/libc.ts";

const libc = bind({
  isatty: { parameters: ["i32"], result: "i32" },
  poll: { parameters: ["buffer", /* struct pollfd[] */ "u64", /* count */ "i32" /* timeout */], result: "i32" },
});

export interface WaitOptions {
  /** Ends the wait with its reason. */
  signal?: AbortSignal;
}

/** Events of poll(2). */
const POLLIN = 1;
const POLLOUT = 4;

/**
 * Way of a program to wait: `thread`, beside which everything else goes on, or `inline`: waits without a signal let the
 * whole program stand still, which saves it the thread. That is for a program that does one thing after the other.
 */
export type Polling = "inline" | "thread";

let poller: Poller | undefined;

/** Undefined until it is chosen, or something is waited for, which takes the thread. */
let polling: Polling | undefined;

/**
 * Chooses how this program waits: once, before anything is waited for.
 *
 * @throws {Error} It waits another way already.
 */
export function configurePolling(chosen: Polling): void {
  if (polling !== undefined && polling !== chosen) {
    throw new Error(`Cannot wait "${chosen}": this program waits "${polling}" already`);
  }
  polling = chosen;
}

/**
 * Ends `inline`: from now on, other things go on while something is waited for.
 *
 * @throws {Error} The program has not chosen `inline`.
 */
export function leaveInlinePolling(): void {
  if (polling !== "inline") {
    throw new Error(`Cannot stop to wait "inline": this program waits "${polling ?? "thread"}"`);
  }
  polling = "thread";
}

/** Waits by the thread from the first wait on, unless the program has chosen. */
function isInline(): boolean {
  polling ??= "thread";
  return polling === "inline";
}

/** poll(2) of one descriptor. @param ms -1 for ever. @returns Whether the event came in time. */
function stand(fd: number, event: number, ms = -1): boolean {
  const entry = new DataView(new ArrayBuffer(8)); // struct pollfd: i32 fd, i16 events, i16 revents
  entry.setInt32(0, fd, LITTLE_ENDIAN);
  entry.setInt16(4, event, LITTLE_ENDIAN);
  return check("poll", () => libc.poll(entry, 1n, ms)) > 0;
}

/** For what takes a moment and must be over before anything else happens: all stands still for at most `ms`. */
export function readableWithin(fd: Fd, ms: number): boolean {
  return stand(fd.number, POLLIN, Math.ceil(ms));
}

/**
 * Waits until a read would not block: data, end of file, or an error is there. At times nothing is, after all.
 *
 * @throws {Error} The descriptor is closed, or given away, meanwhile.
 */
export async function readable(fd: Fd, { signal }: WaitOptions = {}): Promise<void> {
  streak = 0;
  if (isInline() && signal === undefined) return void stand(fd.number, POLLIN);
  await (poller ??= new Poller()).wait(fd, "read", signal);
}

/**
 * As {@linkcode readable}, for `ms` at most.
 *
 * @param options The signal ends the wait as the time does.
 * @returns Whether it is so.
 */
export async function readableFor(fd: Fd, ms: number, { signal }: WaitOptions = {}): Promise<boolean> {
  if (isInline() && signal === undefined) return stand(fd.number, POLLIN, ms);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), Math.min(ms, MAX_TIMER_MS));
  const either = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
  try {
    await readable(fd, { signal: either });
    return true;
  } catch (error) {
    if (either.aborted) return false;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until a write would not block, or would fail. @throws As {@linkcode readable}. */
export async function writable(fd: Fd, { signal }: WaitOptions = {}): Promise<void> {
  streak = 0;
  if (isInline() && signal === undefined) return void stand(fd.number, POLLOUT);
  await (poller ??= new Poller()).wait(fd, "write", signal);
}

/** Calls in a row that did not need to wait. Without a turn now and then, a busy pipe would starve all else. */
let streak = 0;
const LONGEST_STREAK = 64;

/**
 * Reads what is there, or waits for it.
 *
 * @param fd Must not block: see {@linkcode Fd.setNonblocking}.
 * @returns Bytes read; 0 at the end of the file, and when a terminal's other side has gone.
 */
export async function readSome(fd: Fd, buffer: Uint8Array<ArrayBuffer>, options: WaitOptions = {}): Promise<number> {
  options.signal?.throwIfAborted();
  if (++streak > LONGEST_STREAK) await readable(fd, options);
  for (;;) {
    const length = readNow(fd, buffer);
    if (length !== undefined) return length;
    await readable(fd, options);
  }
}

/** As {@linkcode readSome} without the wait. @returns Undefined if nothing is there yet. */
export function readNow(fd: Fd, buffer: Uint8Array<ArrayBuffer>): number | undefined {
  for (;;) {
    const length = rawRead(fd.number, buffer);
    if (length >= 0) return length;
    const errno = lastErrno();
    if (errno === ERRNO.EAGAIN) return undefined;
    if (errno === ERRNO.EIO && libc.isatty(fd.number) === 1) return 0;
    if (errno !== ERRNO.EINTR) throw new ErrnoError("read", errno);
  }
}

/**
 * Writes all of `data`, waiting for room.
 *
 * @param fd Must not block: see {@linkcode Fd.setNonblocking}.
 * @throws {ErrnoError} EPIPE if the reader has gone.
 */
export async function writeAll(fd: Fd, data: Uint8Array<ArrayBuffer>, options: WaitOptions = {}): Promise<void> {
  options.signal?.throwIfAborted();
  if (++streak > LONGEST_STREAK) await writable(fd, options);
  for (let rest = data; rest.length > 0;) {
    rest = rest.subarray(writeNow(fd, rest));
    if (rest.length > 0) await writable(fd, options);
  }
}

/** As {@linkcode writeAll} without the wait. @returns Bytes written; less than all if there is no more room. */
export function writeNow(fd: Fd, data: Uint8Array<ArrayBuffer>): number {
  for (let written = 0;;) {
    const length = written === data.length ? 0 : rawWrite(fd.number, data.subarray(written));
    if (length > 0) written += length;
    else if (length === 0) return written;
    else if (lastErrno() === ERRNO.EAGAIN) return written;
    else if (lastErrno() !== ERRNO.EINTR) throw new ErrnoError("write", lastErrno());
  }
}
