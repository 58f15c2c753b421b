/**
 * The ttRPC frame: ten bytes of header, big endian, then data.
 *
 * ```
 *  bytes 0-3   length of the data, at most 4 MiB
 *  bytes 4-7   stream id: the client counts 1, 3, 5...
 *  byte  8     type: request, response, data
 *  byte  9     flags
 * ```
 *
 * A unary call is one request frame and one response frame of the same stream. There is no preface, no ping and no flow
 * control; responses come in any order; a closed connection fails all that is pending.
 *
 * Both classes here are pure: bytes in, frames out, and back. `channel.ts` puts them on a stream.
 *
 * @module
 * @see https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md
 */

export const HEADER_BYTES = 10;

/** The largest data of a frame, in bytes. The receiver skips longer ones. */
export const MAX_DATA_BYTES = 4 << 20;

export const FRAME_TYPE = { request: 1, response: 2, data: 3 } as const;

/** Bits of the header's last byte. */
export const FRAME_FLAG = {
  /** The sender sends no more on this stream. */
  remoteClosed: 0x01,
  /** A request that data frames will follow. */
  remoteOpen: 0x02,
  /** A data frame that carries no message, not even an empty one. */
  noData: 0x04,
} as const;

export interface Frame {
  /** Unsigned, 32 bits. */
  streamId: number;
  /** One of {@linkcode FRAME_TYPE}, if the peer keeps to the protocol. */
  type: number;
  flags: number;
  /** Data of the frame. Never written again: the bytes may be kept, and decoded messages may point into them. */
  data: Uint8Array;
  /** 0, or the length that the header announced if it is beyond the limit; then `data` is empty. */
  skippedBytes: number;
}

/** The stream id of a client's next call; after the largest one they begin anew. */
export function nextStreamId(id: number): number {
  return (id + 2) >>> 0;
}

/** Whether one stream id comes after another, as they go round. */
export function isLaterStreamId(id: number, other: number): boolean {
  const ahead = (id - other) >>> 0;
  return ahead > 0 && ahead < 0x8000_0000;
}

const READ_BYTES = 64 << 10;
const MIN_SPACE_BYTES = 4 << 10;

/** Cuts a byte stream into frames: read into `space()`, say how much with `filled()`, take frames with `next()`. */
export class FrameDecoder {
  #buffer = new Uint8Array(READ_BYTES);
  #view = new DataView(this.#buffer.buffer);
  /** Bytes of the buffer that came and were not yet taken: from #start to #end. */
  #start = 0;
  #end = 0;
  /** Bytes still to come that belong to a frame beyond the limit. */
  #skip = 0;

  /** Where the next bytes belong; never empty. */
  space(): Uint8Array {
    const wanted = Math.max(this.#missing(), MIN_SPACE_BYTES);
    if (this.#buffer.length - this.#end < wanted) this.#renew(wanted);
    return this.#buffer.subarray(this.#end);
  }

  /** Takes over the first `count` bytes of the last `space()`. */
  filled(count: number): void {
    this.#end += count;
    const skipped = Math.min(this.#skip, this.#end - this.#start);
    this.#skip -= skipped;
    this.#start += skipped;
  }

  /** The next frame, or undefined if more bytes have to come first. */
  next(): Frame | undefined {
    const at = this.#start;
    if (this.#end - at < HEADER_BYTES) return undefined;
    const length = this.#view.getUint32(at);
    const dataAt = at + HEADER_BYTES;
    const isTooLong = length > MAX_DATA_BYTES;
    if (!isTooLong && this.#end - dataAt < length) return undefined;
    this.#start = isTooLong ? dataAt : dataAt + length;
    const frame = {
      streamId: this.#view.getUint32(at + 4),
      type: this.#buffer[at + 8]!,
      flags: this.#buffer[at + 9]!,
      data: this.#buffer.subarray(dataAt, this.#start),
      skippedBytes: isTooLong ? length : 0,
    };
    if (isTooLong) {
      this.#skip = length;
      this.filled(0);
    }
    return frame;
  }

  /** How many bytes are missing from a frame whose header has come. */
  #missing(): number {
    const have = this.#end - this.#start;
    if (have < HEADER_BYTES) return HEADER_BYTES - have;
    return Math.max(0, HEADER_BYTES + this.#view.getUint32(this.#start) - have);
  }

  /** A new buffer each time, because the frames that were taken point into the old one. */
  #renew(wanted: number): void {
    const rest = this.#buffer.subarray(this.#start, this.#end);
    this.#buffer = new Uint8Array(Math.max(READ_BYTES, rest.length + wanted));
    this.#buffer.set(rest);
    this.#view = new DataView(this.#buffer.buffer);
    this.#start = 0;
    this.#end = rest.length;
  }
}

const KEPT_BYTES = 1 << 20;

/** Collects frames into one run of bytes, so that many small frames cost one write. */
export class FrameEncoder {
  #buffer = new Uint8Array(READ_BYTES);
  /** The bytes of the last `take()`, which may still be on their way; used again by the one after. */
  #taken = new Uint8Array(READ_BYTES);
  #length = 0;

  /** Bytes collected and not yet taken. */
  get length(): number {
    return this.#length;
  }

  /** Adds a frame whose data is the concatenation of `pieces`. @throws {RangeError} If they are beyond the limit. */
  frame(streamId: number, kind: { type: number; flags: number }, ...pieces: Uint8Array[]): void {
    let length = 0;
    for (const piece of pieces) length += piece.length;
    if (length > MAX_DATA_BYTES) {
      throw new RangeError(`Cannot send a message of ${length} bytes: at most ${MAX_DATA_BYTES} fit a ttRPC frame`);
    }
    let at = this.#reserve(HEADER_BYTES + length);
    const buffer = this.#buffer;
    at = putUint32(buffer, at, length);
    at = putUint32(buffer, at, streamId);
    buffer[at++] = kind.type;
    buffer[at++] = kind.flags;
    for (const piece of pieces) {
      buffer.set(piece, at);
      at += piece.length;
    }
  }

  /** All bytes since the last call. They stay as they are until the call after this one. */
  take(): Uint8Array {
    const bytes = this.#buffer.subarray(0, this.#length);
    const next = this.#taken;
    this.#taken = this.#buffer.length > KEPT_BYTES ? new Uint8Array(READ_BYTES) : this.#buffer;
    this.#buffer = next;
    this.#length = 0;
    return bytes;
  }

  /** @returns Where the reserved bytes begin. */
  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, at));
      this.#buffer = grown;
    }
    return at;
  }
}

function putUint32(buffer: Uint8Array, at: number, value: number): number {
  buffer[at] = value >>> 24;
  buffer[at + 1] = value >>> 16;
  buffer[at + 2] = value >>> 8;
  buffer[at + 3] = value;
  return at + 4;
}
