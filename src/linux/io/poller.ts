/**
 * The thread that waits in epoll for descriptors: one for all of them, and only while somebody waits.
 *
 * @see https://man7.org/linux/man-pages/man7/epoll.7.html
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { bind, check, LITTLE_ENDIAN } from "../ffi/libc.ts";
import { eventfd, Fd, O_CLOEXEC } from "./fd.ts";

const libc = bind({
  epoll_create1: { parameters: ["i32" /* flags */], result: "i32" },
  epoll_ctl: { parameters: ["i32", /* epoll */ "i32", /* operation */ "i32", /* fd */ "buffer"], result: "i32" },
  epoll_wait: {
    parameters: ["i32", /* epoll */ "buffer", /* events */ "i32", /* count */ "i32" /* timeout */],
    result: "i32",
    nonblocking: true,
  },
});

const EPOLLIN = 1;
const EPOLLOUT = 4;
const EPOLLERR = 8;
const EPOLLHUP = 0x10;
const EPOLLONESHOT = 1 << 30;

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;

/** struct epoll_event is packed on x86-64 only. Of its 8 bytes of data we give 4 to the descriptor, 4 to the turn. */
const EVENT = Deno.build.arch === "x86_64" ? { fd: 4, turn: 8, size: 12 } : { fd: 8, turn: 12, size: 16 };
const MAX_EVENTS = 64;

type Direction = "read" | "write";

/** Callbacks that wait for one descriptor. */
interface Waiters extends Record<Direction, Set<() => void>> {
  /** Number of the last arming: a late event of an earlier one may be of another file that had the same descriptor. */
  turn: number;
}

/** Waits for descriptors, from outside of this thread. */
export class Poller {
  readonly #epoll = new Fd(check("epoll_create1", () => libc.epoll_create1(O_CLOEXEC)));
  readonly #wake = eventfd();
  readonly #waiting = new Map<number, Waiters>();
  readonly #events = new DataView(new ArrayBuffer(MAX_EVENTS * EVENT.size));
  #running: Promise<void> | undefined;
  /** The thread's call that is under way. */
  #calling: Promise<number> | undefined;
  #turn = 0;

  constructor() {
    this.#control(EPOLL_CTL_ADD, this.#wake.number, EPOLLIN);
  }

  /**
   * Resolves when the descriptor is ready, or had an error.
   *
   * @throws The signal's reason.
   * @throws {Error} The descriptor was closed, or given away.
   */
  async wait(fd: Fd, direction: Direction, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { number } = fd;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiters = this.#waiting.get(number) ?? { read: new Set(), write: new Set(), turn: 0 };
    waiters[direction].add(resolve);
    // Always ready; a turn of the event loop all the same, or those who read on and on would starve the rest.
    if (!this.#arm(number, waiters)) return await new Promise((done) => setTimeout(done, 0));
    this.#running ??= this.#run();
    // At once, not in a later turn: by then the number may be another file's.
    const leave = (reason: unknown) => {
      if (!waiters[direction].delete(resolve)) return;
      reject(reason);
      this.#arm(number, waiters);
    };
    const onAbort = () => leave(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    using _open = fd.whileOpen(() => leave(new Error("Cannot wait for a file descriptor any longer: it is closed")));
    try {
      await promise;
    } catch (reason) {
      await this.#rest();
      throw reason;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Asks for what is waited for. @returns false if the descriptor is always ready, as a regular file is. */
  #arm(fd: number, waiters: Waiters): boolean {
    const { read, write } = waiters;
    if (read.size === 0 && write.size === 0) {
      this.#waiting.delete(fd);
      this.#control(EPOLL_CTL_DEL, fd, 0, "ENOENT", "EBADF");
      return true;
    }
    this.#turn = (this.#turn + 1) >>> 0;
    const events = EPOLLONESHOT | (read.size > 0 ? EPOLLIN : 0) | (write.size > 0 ? EPOLLOUT : 0);
    try {
      // Most were waited for before; one that was closed since has left the epoll set by itself.
      if (!this.#control(EPOLL_CTL_MOD, fd, events, "ENOENT")) this.#control(EPOLL_CTL_ADD, fd, events);
    } catch (error) {
      if (isErrno(error, "EPERM")) return false;
      throw error;
    }
    waiters.turn = this.#turn;
    this.#waiting.set(fd, waiters);
    return true;
  }

  /** @returns false if it failed with one of `expected`. */
  #control(operation: number, fd: number, events: number, ...expected: ("ENOENT" | "EBADF")[]): boolean {
    const event = new DataView(new ArrayBuffer(EVENT.size));
    event.setUint32(0, events, LITTLE_ENDIAN);
    event.setInt32(EVENT.fd, fd, LITTLE_ENDIAN);
    event.setUint32(EVENT.turn, this.#turn, LITTLE_ENDIAN);
    try {
      check("epoll_ctl", () => libc.epoll_ctl(this.#epoll.number, operation, fd, event));
      return true;
    } catch (error) {
      if (isErrno(error, ...expected)) return false;
      throw error;
    }
  }

  /** Ends as soon as nobody waits, so that nothing keeps the process, or a test, from ending. */
  async #run(): Promise<void> {
    try {
      while (this.#waiting.size > 0) {
        this.#calling = libc.epoll_wait(this.#epoll.number, this.#events, MAX_EVENTS, -1);
        const count = await this.#calling;
        for (let index = 0; index < count; index++) this.#dispatch(index * EVENT.size);
      }
    } finally {
      this.#running = undefined;
    }
  }

  #dispatch(offset: number): void {
    const events = this.#events.getUint32(offset, LITTLE_ENDIAN);
    const fd = this.#events.getInt32(offset + EVENT.fd, LITTLE_ENDIAN);
    const turn = this.#events.getUint32(offset + EVENT.turn, LITTLE_ENDIAN);
    if (fd === this.#wake.number) {
      this.#wake.read(new Uint8Array(8));
      return;
    }
    const waiters = this.#waiting.get(fd);
    if (waiters?.turn !== turn) return;
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) wakeAll(waiters.read);
    if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) wakeAll(waiters.write);
    // One shot has disarmed the descriptor; leaving it in the set makes the next wait cheap.
    if (waiters.read.size + waiters.write.size > 0) this.#arm(fd, waiters);
    else this.#waiting.delete(fd);
  }

  /** Calls the thread back if it has nobody left to wait for. */
  async #rest(): Promise<void> {
    if (this.#waiting.size > 0 || this.#running === undefined) return;
    this.#wake.write(new Uint8Array(BigUint64Array.of(1n).buffer));
    // Not for the whole run: somebody new may wait by then, for as long as it takes.
    await this.#calling;
  }
}

function wakeAll(waiters: Set<() => void>): void {
  for (const wake of waiters) wake();
  waiters.clear();
}
