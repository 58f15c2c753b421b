/** Byte streams in memory, for targets that speak a protocol. @module */
import type { Duplex } from "../../../src/rpc/transport/duplex.ts";
import { MessageQueue } from "../../../src/rpc/transport/queue.ts";

/** One end of a connection in memory. */
export class MemoryEnd implements Duplex {
  /** Bytes that this end has yet to read. */
  readonly incoming: MessageQueue<Uint8Array> = new MessageQueue<Uint8Array>();
  readonly #pieces = this.incoming[Symbol.asyncIterator]();
  #rest: Uint8Array = new Uint8Array();
  #isClosed = false;
  other!: MemoryEnd;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#pieces.next();
      if (done === true) return null;
      this.#rest = value;
    }
    const taken = this.#rest.subarray(0, buffer.length);
    buffer.set(taken);
    this.#rest = this.#rest.subarray(taken.length);
    return taken.length;
  }

  async write(data: Uint8Array): Promise<number> {
    if (this.#isClosed || this.other.isClosed) throw new Deno.errors.BrokenPipe("the other end is closed");
    const piece = data.slice();
    // As a socket whose buffer is full.
    while (!this.other.incoming.push(piece, 0)) await new Promise((resolve) => setTimeout(resolve));
    return data.length;
  }

  /** Sends no more; what comes is still read. */
  closeWrite(): void {
    this.other.incoming.end();
  }

  close(): void {
    this.#isClosed = true;
    this.other.incoming.end();
    this.incoming.end();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The two ends of a connection. */
export function memoryPair(): [MemoryEnd, MemoryEnd] {
  const ends: [MemoryEnd, MemoryEnd] = [new MemoryEnd(), new MemoryEnd()];
  [ends[0].other, ends[1].other] = [ends[1], ends[0]];
  return ends;
}

/** Everything that comes until the other end is closed. */
export async function readToEnd(end: Duplex): Promise<number> {
  const buffer = new Uint8Array(64 << 10);
  let bytes = 0;
  for (let count; (count = await end.read(buffer)) !== null;) bytes += count;
  return bytes;
}
