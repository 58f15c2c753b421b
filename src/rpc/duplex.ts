/**
 * The byte streams that everything in this folder speaks over.
 *
 * The shape is that of `Deno.Conn`, not of web streams: a read into our own buffer is one call into the runtime, where a
 * web stream adds several promises and a copy.
 *
 * @module
 */

/** A connected byte stream. Each `Deno.Conn` is one. */
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
  close(): void;
}
