/** The host's end of a virtio-serial port; `serial_codec.ts` says how a connection begins. @module */
import { type Duplex, greet, writeAll } from "./duplex.ts";
import { encodeControl, escapeData, newNonce, SerialDecoder, type SerialEvent } from "./serial_codec.ts";

const READ_BYTES = 64 << 10;
const REPEAT_HELLO_MS = 1000;

/**
 * Begins a connection over `port` (the unix socket of the port's character device), which from here on belongs to it.
 * Waits until the guest has booted and listens.
 */
export async function connectSerial(port: Duplex, signal: AbortSignal): Promise<Duplex> {
  const nonce = newNonce();
  const hello = encodeControl("hello", nonce);
  return await greet(port, signal, async () => {
    const connection = new HostConnection(port);
    await writeAll(port, hello);
    // The write ends when the port is closed, and the read below is what reports that.
    const repeat = setInterval(() => void writeAll(port, hello).catch(() => clearInterval(repeat)), REPEAT_HELLO_MS);
    try {
      await connection.skipTo(nonce);
    } finally {
      clearInterval(repeat);
    }
    return connection;
  });
}

class HostConnection implements Duplex {
  readonly #port: Duplex;
  readonly #decoder = new SerialDecoder();
  readonly #buffer = new Uint8Array(READ_BYTES);
  #events: Iterator<SerialEvent> = [].values();
  #data: Uint8Array = new Uint8Array();

  constructor(port: Duplex) {
    this.#port = port;
  }

  async skipTo(nonce: string): Promise<void> {
    for (;;) {
      const event = await this.#next();
      if (event === null) throw new Error("The VMM closed the connection");
      if (event.kind === "answer" && event.nonce === nonce) return;
    }
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#data.length === 0) {
      const event = await this.#next();
      if (event === null) return null;
      if (event.kind === "data") this.#data = event.bytes;
    }
    const taken = this.#data.subarray(0, buffer.length);
    buffer.set(taken);
    this.#data = this.#data.subarray(taken.length);
    return taken.length;
  }

  async write(data: Uint8Array): Promise<number> {
    await writeAll(this.#port, escapeData(data));
    return data.length;
  }

  close(): void {
    this.#port.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #next(): Promise<SerialEvent | null> {
    for (;;) {
      const { value, done } = this.#events.next();
      if (done !== true) return value;
      const count = await this.#port.read(this.#buffer);
      if (count === null) return null;
      this.#events = this.#decoder.decode(this.#buffer.subarray(0, count));
    }
  }
}
