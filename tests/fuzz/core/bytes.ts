/** Changes of good bytes. @module */
import type { Random } from "./random.ts";

/** `bytes` with a few bits turned, pieces cut, doubled, swapped or put in. Never longer than about twice. */
export function mutateBytes(random: Random, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let changed = Uint8Array.from(bytes);
  for (let change = random.between(1, 4); change > 0; change--) changed = changeOnce(random, changed);
  return changed;
}

function changeOnce(random: Random, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const at = random.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + random.few(16));
  switch (random.below(7)) {
    case 0: // one bit
      if (at < bytes.length) bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1: // one byte, often at an edge
      if (at < bytes.length) bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
      return bytes;
    case 2: // a number of four bytes
      if (at + 4 <= bytes.length) new DataView(bytes.buffer).setUint32(at, random.integer() >>> 0, random.once(2));
      return bytes;
    case 3:
      return joinBytes([bytes.subarray(0, at), random.bytes(random.few(16)), bytes.subarray(at)]);
    case 4:
      return joinBytes([bytes.subarray(0, at), bytes.subarray(to)]);
    case 5:
      return joinBytes([bytes.subarray(0, to), bytes.subarray(at)]);
    default:
      return bytes.slice(0, at);
  }
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** `bytes` in the pieces that a stream may deliver. */
export function cut(random: Random, bytes: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const most = random.pick([1, 3, 16, 300, bytes.length]);
  for (let at = 0; at < bytes.length;) {
    const length = random.between(1, Math.max(most, Math.ceil(bytes.length / 40)));
    pieces.push(Uint8Array.from(bytes.subarray(at, at + length)));
    at += length;
  }
  return pieces;
}
