/**
 * The byte streams that everything in this folder speaks over.
 *
 * The shape is that of `Deno.Conn`, not of web streams: a read into our own buffer is one call into the runtime, where a
 * web stream adds several promises and a copy.
 *
 * @module
 */

/** A connected byte stream. Each `Deno.Conn` is one, and so is a `Deno.FsFile`. */
export interface Duplex extends Disposable {
  /** Reads at least one byte into `buffer`. @returns How many, or null when the peer sends no more. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes a beginning of `data`. @returns How many bytes were taken. */
  write(data: Uint8Array): Promise<number>;
  /** Ends both directions; a pending read or write fails or ends. Call it once. */
  close(): void;
}

/** Yields each peer that connects, until it is closed. */
export interface Listener extends AsyncIterable<Duplex>, Disposable {
  /** Yields no more peers; those that it has yielded stay connected. */
  close(): void;
}

export async function writeAll(duplex: Duplex, data: Uint8Array): Promise<void> {
  let at = 0;
  while (at < data.length) at += await duplex.write(data.subarray(at));
}

/**
 * Runs the greeting of a connection that has just been made. If it fails, or the signal fires before it is over, the
 * connection is closed, which also ends a read that waits for the peer.
 */
export async function greet<T>(duplex: Duplex, signal: AbortSignal, greeting: () => Promise<T>): Promise<T> {
  let isOpen = true;
  const close = () => {
    if (isOpen) duplex.close();
    isOpen = false;
  };
  if (signal.aborted) close();
  signal.throwIfAborted();
  signal.addEventListener("abort", close, { once: true });
  try {
    const greeted = await greeting();
    signal.throwIfAborted();
    return greeted;
  } catch (error) {
    close();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", close);
  }
}

/** A connection of which the first bytes have been read already, while looking for the end of a greeting. */
export function withFirstBytes(first: Uint8Array, duplex: Duplex): Duplex {
  if (first.length === 0) return duplex;
  return {
    async read(buffer) {
      if (first.length === 0) return await duplex.read(buffer);
      const taken = first.subarray(0, buffer.length);
      buffer.set(taken);
      first = first.subarray(taken.length);
      return taken.length;
    },
    write: (data) => duplex.write(data),
    close: () => duplex.close(),
    [Symbol.dispose]: () => duplex.close(),
  };
}
