/**
 * Memory that a child and we read and write at once, filled from the front. A program owns one.
 *
 * @module
 */
import { LITTLE_ENDIAN, refuseNul } from "./libc.ts";
import { mapMemory, type Mapping, unmapMemory } from "./machine_code.ts";

/** Address space for what most programs need; pages are only taken when they are written. */
const CHUNK = 128 << 10;
const PAGE = 4096;

/** A piece of memory: its address for the kernel, its bytes for us. */
export interface Piece {
  readonly address: number;
  readonly view: DataView<ArrayBuffer>;
}

const encoder = new TextEncoder();

/** Writes 64 bits. A number must be whole; as with a bigint, a negative one goes as its two's complement. */
export function setWord(view: DataView, offset: number, value: number | bigint): void {
  if (typeof value === "bigint") return view.setBigUint64(offset, value, LITTLE_ENDIAN);
  view.setUint32(offset, value, LITTLE_ENDIAN); // which takes it modulo 2 ** 32
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), LITTLE_ENDIAN);
}

export class ProgramMemory implements Disposable {
  /** It is all that the child shares with us: see {@linkcode ProgramOptions}. */
  readonly isApart: boolean;
  #chunks: Mapping[] = [];
  /** Steps name the same few paths again and again. */
  readonly #strings = new Map<string, number>();
  #used = 0;
  #isGone = false;

  constructor({ isApart = false }: { isApart?: boolean | undefined } = {}) {
    this.isApart = isApart;
  }

  /** Zeroed memory, aligned to 16 bytes. It stays where it is until the whole is disposed. */
  allocate(size: number): Piece {
    const { address, bytes } = this.#chunkFor(size);
    const offset = this.#used;
    this.#used += Math.ceil(size / 16) * 16;
    return { address: address + offset, view: new DataView(bytes.buffer, bytes.byteOffset + offset, size) };
  }

  /** The last chunk, which has room for that many bytes. */
  #chunkFor(size: number): Mapping {
    if (this.#isGone) throw new Error("Cannot use the memory of a program after its end");
    const last = this.#chunks.at(-1);
    if (last !== undefined && this.#used + size <= last.bytes.byteLength) return last;
    const chunk = mapMemory(Math.max(CHUNK, Math.ceil(size / PAGE) * PAGE), { shared: this.isApart });
    this.#chunks.push(chunk);
    this.#used = 0;
    return chunk;
  }

  /** @returns The address of a copy. */
  bytes(content: Uint8Array<ArrayBuffer>): number {
    const { address, bytes } = this.#chunkFor(content.byteLength);
    const offset = this.#used;
    bytes.set(content, offset);
    this.#used += Math.ceil(content.byteLength / 16) * 16;
    return address + offset;
  }

  /** @returns The address of a NUL-terminated copy, not to be written. @throws {TypeError} The string holds a NUL itself. */
  string(text: string): number {
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    refuseNul(text);
    // A character takes three bytes at most.
    const size = 3 * text.length + 1;
    const { address, bytes } = this.#chunkFor(size);
    const offset = this.#used;
    const place = bytes.subarray(offset, offset + size);
    const { written } = encoder.encodeInto(text, place);
    // The NUL, and zeros for whoever is given this memory next: the encoder may use it as scratch space.
    place.fill(0, written);
    this.#used += Math.ceil((written + 1) / 16) * 16;
    this.#strings.set(text, address + offset);
    return address + offset;
  }

  /** @returns The address of an array of addresses that ends with NULL, as execve wants it. */
  pointers(addresses: readonly number[]): number {
    const { address, view } = this.allocate(8 * (addresses.length + 1));
    addresses.forEach((pointer, index) => setWord(view, 8 * index, pointer));
    return address;
  }

  /** Gives the memory back. No child may be using it. */
  [Symbol.dispose](): void {
    this.#isGone = true;
    for (const chunk of this.#chunks.splice(0)) unmapMemory(chunk);
  }
}
