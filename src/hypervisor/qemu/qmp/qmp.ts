/**
 * QMP, the protocol by which QEMU is told what to do: JSON objects, one a line. Commands carry an id and may be in flight together; events come at
 * any time. Descriptors travel beside a command (`getfd`) and belong to this connection.
 *
 * @see https://www.qemu.org/docs/master/interop/qmp-spec.html
 * @module
 */
import { abortable } from "../../../base/async.ts";
import type { Fd } from "../../../linux/io/fd.ts";
import { type QemuVersion, qemuVersion } from "./answers.ts";

/** The bytes below the protocol. */
export interface QmpWire {
  readonly input: AsyncIterable<Uint8Array>;
  /** @param fds Sent along with the first byte; they stay the caller's. */
  send(data: Uint8Array<ArrayBuffer>, fds: readonly Fd[]): Promise<void>;
  /** Settles when nothing of it is under way any more. */
  close(): void | Promise<void>;
}

export interface QmpEvent {
  event: string;
  data: Readonly<Record<string, unknown>>;
}

export interface ExecuteOptions {
  signal?: AbortSignal | undefined;
  fds?: readonly Fd[];
}

/** QEMU refused a command. */
export class QmpError extends Error {
  override readonly name = "QmpError";

  /** @param errorClass QEMU's word for it: `GenericError`, `DeviceNotFound`, `CommandNotFound`… */
  constructor(readonly errorClass: string, message: string) {
    super(message);
  }
}

type Listener = (event: QmpEvent) => void;
type Message = Readonly<Record<string, unknown>>;

/** A QEMU that a guest has taken over may send one without an end. QEMU's own stay below a megabyte. */
const LONGEST_LINE = 16 << 20;

/** One connection to QEMU. */
export class Qmp implements AsyncDisposable {
  readonly #wire: QmpWire;
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #listeners = new Set<Listener>();
  readonly #greeting = Promise.withResolvers<void>();
  /** Rejects the calls and waits that are under way when the connection ends. */
  readonly #pending = new Set<(reason: unknown) => void>();
  readonly #reading: Promise<void>;
  #nextId = 1;
  #endReason: unknown;
  #version: QemuVersion | undefined;

  /** Use {@linkcode Qmp.open}. */
  constructor(wire: QmpWire) {
    this.#wire = wire;
    this.#reading = this.#read();
  }

  /** Version of the QEMU that answers; undefined if it did not say. */
  get version(): QemuVersion | undefined {
    return this.#version;
  }

  /** Waits for the greeting and leaves negotiation mode. Takes the wire over, and closes it if this fails. */
  static async open(wire: QmpWire, signal: AbortSignal): Promise<Qmp> {
    const qmp = new Qmp(wire);
    try {
      await qmp.#untilEnd(qmp.#greeting, signal);
      await qmp.execute("qmp_capabilities", {}, { signal });
      return qmp;
    } catch (error) {
      await qmp[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Runs one command.
   *
   * @returns What QEMU returns, unchecked.
   * @throws {QmpError} QEMU refused it. Any other error: the connection ended, or the signal fired; then the command may
   * still take effect.
   */
  async execute(command: string, args: Message = {}, options: ExecuteOptions = {}): Promise<unknown> {
    const { signal, fds = [] } = options;
    signal?.throwIfAborted();
    if (this.#endReason !== undefined) throw this.#endReason;
    const id = this.#nextId++;
    const call = Promise.withResolvers<unknown>();
    this.#calls.set(id, call);
    try {
      const answer = this.#untilEnd(call, signal);
      const line = `${JSON.stringify({ execute: command, arguments: args, id })}\n`;
      const [, result] = await Promise.all([this.#wire.send(new TextEncoder().encode(line), fds), answer]);
      return result;
    } finally {
      this.#calls.delete(id);
    }
  }

  /** Gives QEMU a descriptor under a name, for a later command on this connection. */
  async sendFd(name: string, fd: Fd): Promise<void> {
    await this.execute("getfd", { fdname: name }, { fds: [fd] });
  }

  /** Events from now on, until the connection ends. Cancel it (leave a `for await`) when done. */
  events(): ReadableStream<QmpEvent> {
    let listener: Listener;
    return new ReadableStream<QmpEvent>({
      start: (controller) => {
        listener = (event) => controller.enqueue(event);
        this.#listeners.add(listener);
        this.#reading.then(() => this.#listeners.delete(listener) && controller.close());
      },
      cancel: () => {
        this.#listeners.delete(listener);
      },
    }, { highWaterMark: Infinity });
  }

  /**
   * The first event from now on that matches. Call it before the command that causes the event.
   *
   * @throws The signal's reason, or that the connection ended.
   */
  async waitFor(matches: (event: QmpEvent) => boolean, signal: AbortSignal): Promise<QmpEvent> {
    const found = Promise.withResolvers<QmpEvent>();
    const listener: Listener = (event) => matches(event) && found.resolve(event);
    this.#listeners.add(listener);
    try {
      return await this.#untilEnd(found, signal);
    } finally {
      this.#listeners.delete(listener);
    }
  }

  /** Closes the connection; commands in flight fail. QEMU goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#wire.close();
    await this.#reading;
  }

  async #read(): Promise<void> {
    try {
      for await (const line of lines(this.#wire.input)) this.#dispatch(parseLine(line));
      this.#endReason = new Error("QEMU closed the connection");
    } catch (error) {
      this.#endReason = error;
    }
    for (const reject of this.#pending) reject(this.#endReason);
  }

  /** Waits for an answer, but no longer than the connection and the signal last. */
  async #untilEnd<T>({ promise, reject }: PromiseWithResolvers<T>, signal?: AbortSignal): Promise<T> {
    if (this.#endReason !== undefined) throw this.#endReason;
    this.#pending.add(reject);
    try {
      return await (signal ? abortable(promise, signal) : promise);
    } finally {
      this.#pending.delete(reject);
    }
  }

  #dispatch(message: unknown): void {
    if (!isObject(message)) throw new Error("QEMU sent a line that is no object");
    if ("QMP" in message) {
      this.#version ??= qemuVersion(message.QMP);
      return this.#greeting.resolve();
    }
    if (typeof message.event === "string") {
      const event = { event: message.event, data: isObject(message.data) ? message.data : {} };
      for (const listener of this.#listeners) listener(event);
      return;
    }
    const call = typeof message.id === "number" ? this.#calls.get(message.id) : undefined;
    const { error } = message;
    if (isObject(error)) call?.reject(new QmpError(textOf(error.class), textOf(error.desc)));
    else call?.resolve(message.return);
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // The parser's own words quote the line.
    throw new SyntaxError("QEMU sent a line that is no JSON");
  }
}

/** An object may lack the means to say what it is. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

function isObject(value: unknown): value is Message {
  return typeof value === "object" && value !== null;
}

async function* lines(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of input) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    if (rest.length > LONGEST_LINE) throw new Error(`QEMU sent a line of more than ${LONGEST_LINE} characters`);
    for (const line of parts) if (line.trim() !== "") yield line;
  }
}
