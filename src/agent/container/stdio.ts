/** The agent's ends of a process' standard streams. @module */
import { Mutex } from "../../base/async.ts";
import { KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { type Fd, pipe } from "../../linux/io/fd.ts";
import { readable, readNow, writable, writeNow } from "../../linux/io/poll.ts";
import type { Stdio } from "../../oci/container/container.ts";

/** How long a stream may stay silent after its process has ended, while a child that it left behind keeps it open. */
const DRAIN_MS = 500;

/** An output that can be read. */
export type OutputName = "stdout" | "stderr";

/** Caller of a read or write. Only a call that has to wait looks at the signal: most need not, and signals are dear. */
export interface Caller {
  readonly signal: AbortSignal;
}

/** One direction of one stream: a second caller waits for the first, so that bytes keep their order. */
class Stream implements Disposable {
  readonly #turn = new Mutex();

  constructor(readonly fd: Fd) {
    fd.setNonblocking();
  }

  turn(): Promise<Disposable> {
    return this.#turn.lock();
  }

  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
  }
}

/** The agent's ends; nonblocking from now on. */
interface Ends {
  stdin: Fd;
  stdout: Fd;
  stderr?: Fd;
  /** The master of the terminal that the others are duplicates of. */
  terminal?: Fd;
}

/** The streams of one process: three pipes, or the master of its terminal. Disposing it ends every pending call. */
export class ProcessStdio implements Disposable {
  #stdin: Stream | undefined;
  readonly #outputs: Partial<Record<OutputName, Stream>>;
  readonly #terminal: Fd | undefined;
  /** Calls that wait: each is woken when the process ends or the streams close, and then looks again. */
  readonly #waiting = new Set<AbortController>();
  #hasExited = false;
  #isClosed = false;

  constructor({ stdin, stdout, stderr, terminal }: Ends) {
    this.#stdin = new Stream(stdin);
    this.#outputs = { stdout: new Stream(stdout), ...(stderr !== undefined && { stderr: new Stream(stderr) }) };
    this.#terminal = terminal;
  }

  /** Makes pipes. @returns The streams, and the ends for the process; the caller disposes those once it has them. */
  static pipes(): { streams: ProcessStdio; child: Required<Stdio> & Disposable } {
    using undo = new DisposableStack();
    const [stdin, stdout, stderr] = [undo.use(pipe()), undo.use(pipe()), undo.use(pipe())];
    const streams = new ProcessStdio({ stdin: stdin.write, stdout: stdout.read, stderr: stderr.read });
    undo.move();
    const child = { stdin: stdin.read, stdout: stdout.write, stderr: stderr.write };
    return { streams, child: { ...child, [Symbol.dispose]: () => Object.values(child).forEach(close) } };
  }

  /** Takes over the master of a terminal, which is standard input and output at once. */
  static terminal(master: Fd): ProcessStdio {
    return new ProcessStdio({ stdin: master.dup(), stdout: master.dup(), terminal: master });
  }

  /** Whether both outputs have ended, and nothing is left to read. */
  get isDrained(): boolean {
    return this.#outputs.stdout === undefined && this.#outputs.stderr === undefined;
  }

  /** From now on an output that is silent for a while has ended, and no input is taken, whoever is left to hold them open. */
  processExited(): void {
    this.#hasExited = true;
    this.#wakeAll();
  }

  /**
   * Waits for output.
   *
   * @param maxBytes Most to return.
   * @returns What was there, at least one byte; empty at the end of the stream.
   */
  async read(name: OutputName, maxBytes: number, caller: Caller): Promise<Uint8Array<ArrayBuffer>> {
    const stream = this.#outputs[name];
    if (stream === undefined) return new Uint8Array();
    using _ = await stream.turn();
    const buffer = new Uint8Array(maxBytes);
    const count = await this.#readUntilEnd(stream.fd, buffer, caller);
    if (count > 0) return buffer.subarray(0, count);
    delete this.#outputs[name];
    stream[Symbol.dispose]();
    return new Uint8Array();
  }

  /** @returns 0 at the end of the stream. */
  async #readUntilEnd(fd: Fd, buffer: Uint8Array<ArrayBuffer>, caller: Caller): Promise<number> {
    for (let wasSilent = false;;) {
      const count = this.#isClosed ? 0 : readNow(fd, buffer);
      if (count !== undefined) return count;
      if (wasSilent) return 0;
      if (this.#hasExited) wasSilent = !await this.#wait(readable, fd, { caller, timeoutMs: DRAIN_MS });
      else await this.#wait(readable, fd, { caller });
    }
  }

  /**
   * Writes all of `data` to standard input, waiting while the process does not read.
   *
   * @throws {KataError} FAILED_PRECONDITION if standard input is closed, by either side, or the process has ended: a child
   * that it left behind may hold the input open and never read.
   */
  async write(data: Uint8Array<ArrayBuffer>, caller: Caller): Promise<void> {
    const stdin = this.#stdin;
    if (stdin === undefined) throw closedInput();
    using _ = await stdin.turn();
    try {
      for (let rest = data; rest.length > 0;) {
        if (!stdin.fd.isOpen || this.#hasExited) throw closedInput();
        rest = rest.subarray(writeNow(stdin.fd, rest));
        if (rest.length > 0) await this.#wait(writable, stdin.fd, { caller });
      }
    } catch (cause) {
      if (isErrno(cause, "EPIPE", "EIO")) throw closedInput(cause);
      throw cause;
    }
  }

  /** @returns Whether the descriptor may be ready; false after the timeout. @throws The reason of the caller's signal. */
  async #wait(until: typeof readable, fd: Fd, { caller: { signal }, timeoutMs }: Wait): Promise<boolean> {
    signal.throwIfAborted();
    const stop = new AbortController();
    const onAbort = () => stop.abort();
    let isLate = false;
    const onTimeout = () => {
      isLate = true;
      stop.abort();
    };
    const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
    signal.addEventListener("abort", onAbort);
    this.#waiting.add(stop);
    try {
      await until(fd, { signal: stop.signal });
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    } finally {
      this.#waiting.delete(stop);
      signal.removeEventListener("abort", onAbort);
      clearTimeout(timer);
    }
    signal.throwIfAborted();
    return !isLate;
  }

  #wakeAll(): void {
    for (const stop of this.#waiting) stop.abort();
  }

  /** Ends standard input once what is being written is written. A terminal has no end: its user types one. */
  async closeInput(): Promise<void> {
    const stdin = this.#stdin;
    if (stdin === undefined || this.#terminal !== undefined) return;
    this.#stdin = undefined;
    using _ = await stdin.turn();
    stdin[Symbol.dispose]();
  }

  /** The master of the terminal. @throws {KataError} UNAVAILABLE if there is none. */
  get terminal(): Fd {
    if (this.#terminal?.isOpen) return this.#terminal;
    throw new KataError("UNAVAILABLE", "Cannot resize: the process has no terminal");
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#wakeAll(); // before the descriptors close: nobody may wait for one that is gone
    this.#stdin?.[Symbol.dispose]();
    this.#outputs.stdout?.[Symbol.dispose]();
    this.#outputs.stderr?.[Symbol.dispose]();
    this.#terminal?.[Symbol.dispose]();
  }
}

interface Wait {
  caller: Caller;
  timeoutMs?: number;
}

function closedInput(cause?: unknown): KataError {
  return new KataError("FAILED_PRECONDITION", "Cannot write to standard input: it is closed", { cause });
}

function close(fd: Fd): void {
  fd[Symbol.dispose]();
}
