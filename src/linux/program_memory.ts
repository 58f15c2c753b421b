/**
 * Memory that a child and we read and write at once, filled from the front. A program owns one.
 *
 * @module
 */
import { cstring, LITTLE_ENDIAN } from "./libc.ts";
import { mapMemory, type Mapping, unmapMemory } from "./machine_code.ts";

/** Address space for what most programs need; pages are only taken when they are written. */
const CHUNK = 128 << 10;
const PAGE = 4096;

/** A piece of memory: its address for the kernel, its bytes for us. */
export interface Piece {
  readonly address: bigint;
  readonly view: DataView<ArrayBuffer>;
}

export class ProgramMemory implements Disposable {
  #chunks: Mapping[] = [];
  /** Steps name the same few paths again and again. */
  readonly #strings = new Map<string, bigint>();
  #used = 0;
  #isGone = false;

  /** Zeroed memory, aligned to 16 bytes. It stays where it is until the whole is disposed. */
  allocate(size: number): Piece {
    if (this.#isGone) throw new Error("Cannot use the memory of a program after its end");
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || this.#used + size > chunk.bytes.byteLength) {
      chunk = mapMemory(Math.max(CHUNK, Math.ceil(size / PAGE) * PAGE));
      this.#chunks.push(chunk);
      this.#used = 0;
    }
    const offset = this.#used;
    this.#used += Math.ceil(size / 16) * 16;
    return {
      address: chunk.address + BigInt(offset),
      view: new DataView(chunk.bytes.buffer, chunk.bytes.byteOffset + offset, size),
    };
  }

  /** @returns The address of a copy. */
  bytes(content: Uint8Array<ArrayBuffer>): bigint {
    const { address, view } = this.allocate(content.byteLength);
    new Uint8Array(view.buffer, view.byteOffset, content.byteLength).set(content);
    return address;
  }

  /** @returns The address of a NUL-terminated copy, not to be written. @throws {TypeError} The string holds a NUL itself. */
  string(text: string): bigint {
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    const address = this.bytes(cstring(text));
    this.#strings.set(text, address);
    return address;
  }

  /** @returns The address of an array of addresses that ends with NULL, as execve wants it. */
  pointers(addresses: readonly bigint[]): bigint {
    const { address, view } = this.allocate(8 * (addresses.length + 1));
    addresses.forEach((pointer, index) => view.setBigUint64(8 * index, pointer, LITTLE_ENDIAN));
    return address;
  }

  /** Gives the memory back. No child may be using it. */
  [Symbol.dispose](): void {
    this.#isGone = true;
    for (const chunk of this.#chunks.splice(0)) unmapMemory(chunk);
  }
}
