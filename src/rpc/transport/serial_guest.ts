/** The guest's end of a virtio-serial port; `serial_codec.ts` says how a connection begins. @module */
import { Mutex } from "../../base/async.ts";
import { systemClock } from "../../base/clock.ts";
import { type Duplex, type Listener, writeAll } from "./duplex.ts";
import { MessageQueue } from "./queue.ts";
import { encodeControl, escapeData, SerialDecoder, type SerialEvent } from "./serial_codec.ts";

const READ_BYTES = 64 << 10;
/** A port whose host end is not connected reads as ended, at once: look again after this time. */
const POLL_MS = 20;

/**
 * Finds a virtio-serial port by the name that the VMM gave it. There may be no udev to make links.
 *
 * @param root Of the file system, for tests.
 * @returns The path of its device node.
 */
export function findSerialPort(name: string, root = ""): string {
  const ports = `${root}/sys/class/virtio-ports`;
  for (const port of Deno.readDirSync(ports)) {
    if (Deno.readTextFileSync(`${ports}/${port.name}/name`).trim() === name) return `${root}/dev/${port.name}`;
  }
  throw new Error(`Cannot find virtio-serial port "${name}"`);
}

/** Opens a port's device node, which takes one opener at a time. */
export function openSerialPort(path: string): Duplex {
  const file = Deno.openSync(path, { read: true, write: true });
  return {
    read: (buffer) => file.read(buffer),
    // Deno queues the asynchronous calls of one file: a write would wait for the pending read, thus for the host's next
    // word. The kernel takes a write as long as the host reads, which it always does.
    write: async (data) => file.writeSync(data),
    close: () => file.close(),
    [Symbol.dispose]: () => file.close(),
  };
}

/**
 * Yields a connection for each hello of the host. There is one at a time: the one before fails when the next begins.
 *
 * @param port The open device, which from here on belongs to the listener.
 */
export function listenSerial(port: Duplex): Listener {
  return new SerialListener(port);
}

class SerialListener implements Listener {
  readonly #port: Duplex;
  readonly #connections = new MessageQueue<Duplex>();
  readonly #closing = new AbortController();
  /** An answer must not stand in the middle of another write. */
  readonly #writing = new Mutex();
  #isPortClosed = false;
  #current: { nonce: string; connection: GuestConnection } | undefined;

  constructor(port: Duplex) {
    this.#port = port;
    this.#receive().then(() => this.#connections.end(), (error) => this.#connections.end({ error }));
  }

  [Symbol.asyncIterator](): AsyncIterator<Duplex> {
    return this.#connections[Symbol.asyncIterator]();
  }

  /** Takes no further connection. The one there is goes on, as those of any listener do; the port closes after it. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#connections.end();
    void this.#closePort();
  }

  async #closePort(): Promise<void> {
    await this.#current?.connection.ended;
    this.#isPortClosed = true;
    this.#port.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #receive(): Promise<void> {
    const { signal } = this.#closing;
    const decoder = new SerialDecoder();
    const buffer = new Uint8Array(READ_BYTES);
    try {
      while (!this.#isPortClosed) {
        const count = await this.#port.read(buffer);
        if (count === null || count === 0) {
          this.#current?.connection.end();
          await systemClock.sleep(POLL_MS, signal);
          continue;
        }
        for (const event of decoder.decode(buffer.subarray(0, count))) await this.#onEvent(event);
      }
    } catch (error) {
      this.#current?.connection.end();
      if (!signal.aborted) throw new Error("Cannot read the virtio-serial port", { cause: error });
    }
  }

  async #onEvent(event: SerialEvent): Promise<void> {
    if (event.kind === "data") await this.#current?.connection.deliver(event.bytes);
    if (event.kind !== "hello" || this.#closing.signal.aborted) return;
    const { nonce } = event;
    if (this.#current?.nonce !== nonce) {
      this.#current?.connection.end(new Error("The host has begun another connection"));
      const connection: GuestConnection = new GuestConnection((data) => this.#write(connection, data));
      this.#current = { nonce, connection };
      // Each ends the one before it, so what nobody has taken yet is worth nothing: only the host can make them many.
      if (!this.#connections.push(connection, 0)) connection.end(new Error("Too many connections wait"));
    }
    // Not awaited: while the host reads nothing it must still be able to begin anew. A failure is one of the reads, too.
    void this.#answer(nonce).catch(() => {});
  }

  async #answer(nonce: string): Promise<void> {
    using _writing = await this.#writing.lock();
    if (this.#current?.nonce === nonce) await writeAll(this.#port, encodeControl("answer", nonce));
  }

  async #write(connection: GuestConnection, data: Uint8Array): Promise<number> {
    using _writing = await this.#writing.lock();
    if (this.#current?.connection !== connection) throw new Error("The host has begun another connection");
    // The port takes no byte while no host is connected, and the agent would stand still until one is.
    if (connection.hasEnded) throw new Error("The host is not connected");
    await writeAll(this.#port, escapeData(data));
    return data.length;
  }
}

/** Passes each piece from the port's reader to the connection's; neither is ahead of the other, so nothing piles up. */
class GuestConnection implements Duplex {
  readonly write: (data: Uint8Array) => Promise<number>;
  #piece: Uint8Array = new Uint8Array();
  #end: { error?: Error } | undefined;
  #onPiece: (() => void) | undefined;
  #onTaken: (() => void) | undefined;
  readonly #ended = Promise.withResolvers<void>();

  constructor(write: (data: Uint8Array) => Promise<number>) {
    this.write = write;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Resolves when either side has ended the connection. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Resolves when the piece has been read, or nobody will read it. */
  async deliver(piece: Uint8Array): Promise<void> {
    if (this.#end !== undefined) return;
    this.#piece = piece;
    this.#onPiece?.();
    await new Promise<void>((resolve) => this.#onTaken = resolve);
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#piece.length === 0) {
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return null;
      await new Promise<void>((resolve) => this.#onPiece = resolve);
    }
    const taken = this.#piece.subarray(0, buffer.length);
    buffer.set(taken);
    this.#piece = this.#piece.subarray(taken.length);
    if (this.#piece.length === 0) this.#onTaken?.();
    return taken.length;
  }

  /** Ends the connection from the host's side. Bytes that the agent has not read yet are lost. */
  end(error?: Error): void {
    this.#end ??= error === undefined ? {} : { error };
    this.#piece = new Uint8Array();
    this.#onPiece?.();
    this.#onTaken?.();
    this.#ended.resolve();
  }

  close(): void {
    this.end();
  }

  [Symbol.dispose](): void {
    this.end();
  }
}
