/**
 * Values of D-Bus and their bytes. Pure.
 *
 * @see https://dbus.freedesktop.org/doc/dbus-specification.html#message-protocol-marshaling
 * @module
 */
import { LITTLE_ENDIAN } from "../linux/ffi/libc.ts";

/** A value whose type travels with it. */
export interface Variant {
  signature: string;
  value: Value;
}

/** A structure, an array and an entry of a dictionary are lists alike: the signature says which is meant. */
export type Value = number | bigint | boolean | string | Variant | readonly Value[];

const ALIGNMENT: Readonly<Record<string, number>> = {
  y: 1,
  g: 1,
  v: 1,
  n: 2,
  q: 2,
  b: 4,
  i: 4,
  u: 4,
  s: 4,
  o: 4,
  a: 4,
  x: 8,
  t: 8,
  d: 8,
  "(": 8,
  "{": 8,
};

function alignmentOf(type: string): number {
  const alignment = ALIGNMENT[type[0] ?? ""];
  if (alignment === undefined) throw new TypeError(`Cannot use D-Bus type "${type}"`);
  return alignment;
}

/** Splits a signature into its complete types: `sa(sv)u` is `s`, `a(sv)` and `u`. */
export function splitSignature(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length;) {
    const end = endOfType(signature, at);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}

function endOfType(signature: string, start: number): number {
  let at = start;
  while (signature[at] === "a") at++;
  const close = { "(": ")", "{": "}" }[signature[at] ?? ""];
  if (close === undefined) {
    alignmentOf(signature.slice(at, at + 1));
    return at + 1;
  }
  at++;
  while (signature[at] !== close) at = endOfType(signature, at);
  return at + 1;
}

/** The next multiple of an alignment. */
export function padded(length: number, alignment: number): number {
  return Math.ceil(length / alignment) * alignment;
}

/** Bytes of the longest number, and so of the length before a text or an array. */
const LARGEST_NUMBER = 8;

/** Puts values into bytes, in our byte order. */
export class Writer {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }

  align(alignment: number): void {
    this.#grow(padded(this.length, alignment) - this.length);
  }

  write(type: string, value: Value): void {
    this.align(alignmentOf(type));
    this.#reserve(LARGEST_NUMBER);
    switch (type[0]) {
      case "y":
        return this.#view.setUint8(this.#grow(1), value as number);
      case "b":
        return this.#view.setUint32(this.#grow(4), value ? 1 : 0, LITTLE_ENDIAN);
      case "n":
        return this.#view.setInt16(this.#grow(2), value as number, LITTLE_ENDIAN);
      case "q":
        return this.#view.setUint16(this.#grow(2), value as number, LITTLE_ENDIAN);
      case "i":
        return this.#view.setInt32(this.#grow(4), value as number, LITTLE_ENDIAN);
      case "u":
        return this.#view.setUint32(this.#grow(4), value as number, LITTLE_ENDIAN);
      case "x":
        return this.#view.setBigInt64(this.#grow(8), BigInt(value as bigint), LITTLE_ENDIAN);
      case "t":
        return this.#view.setBigUint64(this.#grow(8), BigInt(value as bigint), LITTLE_ENDIAN);
      case "d":
        return this.#view.setFloat64(this.#grow(8), value as number, LITTLE_ENDIAN);
      case "a":
        return this.#writeArray(type.slice(1), value as readonly Value[]);
      case "v":
        this.write("g", (value as Variant).signature);
        return this.write((value as Variant).signature, (value as Variant).value);
      case "(":
      case "{":
        return this.#writeMembers(type, value as readonly Value[]);
      default:
        return this.#writeText(type, value as string);
    }
  }

  #writeMembers(type: string, values: readonly Value[]): void {
    const types = splitSignature(type.slice(1, -1));
    if (types.length !== values.length) {
      throw new TypeError(`Cannot write ${values.length} values as "${type}"`);
    }
    types.forEach((member, index) => this.write(member, values[index]!));
  }

  #writeArray(type: string, values: readonly Value[]): void {
    const at = this.#grow(4);
    // The padding before the first element does not count, and is there even if there is none.
    this.align(alignmentOf(type));
    const start = this.length;
    for (const value of values) this.write(type, value);
    this.#view.setUint32(at, this.length - start, LITTLE_ENDIAN);
  }

  #writeText(type: string, text: string): void {
    const bytes = new TextEncoder().encode(text);
    if (bytes.includes(0)) throw new TypeError(`Cannot send ${JSON.stringify(text)}: it holds a NUL`);
    if (type === "g") this.#view.setUint8(this.#grow(1), bytes.length);
    else this.#view.setUint32(this.#grow(4), bytes.length, LITTLE_ENDIAN);
    const at = this.#grow(bytes.length + 1);
    this.#bytes.set(bytes, at);
  }

  /** @returns Where the new room, zeroed, begins. Its number is set in the view that was there before the call. */
  #grow(size: number): number {
    this.#reserve(size);
    const start = this.length;
    this.length += size;
    return start;
  }

  /** After this, that many bytes need no other buffer, and no other view. */
  #reserve(size: number): void {
    const needed = this.length + size;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Takes values out of bytes. */
export class Reader {
  readonly #view: DataView<ArrayBuffer>;
  readonly #isLittle: boolean;
  #at = 0;

  constructor(view: DataView<ArrayBuffer>, isLittle: boolean) {
    this.#view = view;
    this.#isLittle = isLittle;
  }

  align(alignment: number): void {
    this.#at = padded(this.#at, alignment);
  }

  /** @throws {RangeError} The bytes end before the value does. */
  read(type: string): Value {
    this.align(alignmentOf(type));
    switch (type[0]) {
      case "y":
        return this.#view.getUint8(this.#take(1));
      case "b":
        return this.#view.getUint32(this.#take(4), this.#isLittle) !== 0;
      case "n":
        return this.#view.getInt16(this.#take(2), this.#isLittle);
      case "q":
        return this.#view.getUint16(this.#take(2), this.#isLittle);
      case "i":
        return this.#view.getInt32(this.#take(4), this.#isLittle);
      case "u":
        return this.#view.getUint32(this.#take(4), this.#isLittle);
      case "x":
        return this.#view.getBigInt64(this.#take(8), this.#isLittle);
      case "t":
        return this.#view.getBigUint64(this.#take(8), this.#isLittle);
      case "d":
        return this.#view.getFloat64(this.#take(8), this.#isLittle);
      case "a":
        return this.#readArray(type.slice(1));
      case "v":
        return this.#readVariant();
      case "(":
      case "{":
        return splitSignature(type.slice(1, -1)).map((member) => this.read(member));
      default:
        return this.#readText(type);
    }
  }

  #readArray(type: string): Value[] {
    const size = this.#view.getUint32(this.#take(4), this.#isLittle);
    this.align(alignmentOf(type));
    const end = this.#at + size;
    const values: Value[] = [];
    while (this.#at < end) values.push(this.read(type));
    return values;
  }

  #readVariant(): Variant {
    const signature = this.read("g") as string;
    if (splitSignature(signature).length !== 1) throw new TypeError(`Cannot read a variant of "${signature}"`);
    return { signature, value: this.read(signature) };
  }

  #readText(type: string): string {
    const length = type === "g" ? this.read("y") as number : this.read("u") as number;
    const start = this.#view.byteOffset + this.#take(length + 1);
    if (length > this.#view.byteLength) throw new RangeError(`Cannot read a text of ${length} bytes`);
    return new TextDecoder().decode(new Uint8Array(this.#view.buffer, start, length));
  }

  #take(size: number): number {
    const at = this.#at;
    this.#at += size;
    if (this.#at > this.#view.byteLength) throw new RangeError("Cannot read a message beyond its end");
    return at;
  }
}
