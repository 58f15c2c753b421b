/**
 * Descriptors as connections, as web streams and as text.
 *
 * @module
 */
import type { Fd } from "./fd.ts";
import { readSome, type WaitOptions, writable, writeNow } from "./poll.ts";

/** Capacity of a pipe, in bytes. */
const CHUNK = 64 << 10;
/** Chunks up to this are copied, so that the buffer serves again. */
const SMALL = 16 << 10;

/** Reads all there is to the end, as UTF-8. */
export async function readText(fd: Fd, options: WaitOptions = {}): Promise<string> {
  fd.setNonblocking();
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(CHUNK);
  let text = "";
  for (;;) {
    const length = await readSome(fd, buffer, options);
    if (length === 0) return text + decoder.decode();
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
}

/** Reads a descriptor when asked, never ahead. Owns it: it is closed at its end, by an error or by `cancel`. */
export function readableStream(fd: Fd): ReadableStream<Uint8Array<ArrayBuffer>> {
  fd.setNonblocking();
  const canceling = new AbortController();
  let buffer = new Uint8Array(CHUNK);
  let pulling: Promise<number> | undefined;
  return new ReadableStream({
    async pull(controller) {
      using owned = new DisposableStack();
      owned.use(fd);
      pulling = readSome(fd, buffer, { signal: canceling.signal });
      const length = await pulling;
      if (length === 0) return controller.close();
      owned.move();
      controller.enqueue(length > SMALL ? buffer.subarray(0, length) : buffer.slice(0, length));
      if (length > SMALL) buffer = new Uint8Array(CHUNK);
    },
    async cancel(reason) {
      canceling.abort(reason);
      await pulling?.catch(() => {});
      fd[Symbol.dispose]();
    },
  }, { highWaterMark: 0 });
}

/** A connection, of the shape of `Deno.Conn`. */
export interface FdDuplex extends Disposable {
  /** Reads at least one byte. @returns How many, or null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** @returns How many bytes were taken. */
  write(data: Uint8Array): Promise<number>;
  /** A pending read or write fails. */
  close(): void;
}

/** A connected socket as a connection, which owns it. */
export function fdDuplex(socket: Fd): FdDuplex {
  socket.setNonblocking();
  const closing = new AbortController();
  const { signal } = closing;
  const pending = new Set<Promise<unknown>>();
  // Nobody may wait for a descriptor that is closed.
  async function whileOpen<T>(act: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const acting = act();
    pending.add(acting);
    try {
      return await acting;
    } finally {
      pending.delete(acting);
    }
  }
  const close = () => {
    if (signal.aborted) return;
    closing.abort(new Error("The connection was closed"));
    void Promise.allSettled(pending).then(() => socket[Symbol.dispose]());
  };
  return {
    read: (buffer) =>
      whileOpen(async () => await readSome(socket, buffer as Uint8Array<ArrayBuffer>, { signal }) || null),
    write: (data) => whileOpen(() => writeSome(socket, data as Uint8Array<ArrayBuffer>, { signal })),
    close,
    [Symbol.dispose]: close,
  };
}

async function writeSome(fd: Fd, data: Uint8Array<ArrayBuffer>, options: WaitOptions): Promise<number> {
  for (;;) {
    const count = writeNow(fd, data);
    if (count > 0 || data.length === 0) return count;
    await writable(fd, options);
  }
}
