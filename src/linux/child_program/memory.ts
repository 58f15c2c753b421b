/**
 * Memory that a child and we read and write at once, filled from the front. A program owns one.
 *
 * @module
 */
import { type Fd, memfd, setFileSize } from "../io/fd.ts";
import { LITTLE_ENDIAN, refuseNul } from "../ffi/libc.ts";
import { hideMemory, mapMemory, type Mapping, showMemory, type Shown, unmapMemory } from "./machine_code.ts";

/** Bytes that suffice for most programs; the kernel takes pages only when they are written. */
const CHUNK = 128 << 10;
const PAGE = 4096;

/** Address space for a child that is apart. The child maps all of it at once; we map the written part only. */
const APART_SIZE = 32 << 20;
/** Of its first page, as large as pages are on any kernel. */
const TOLD_SIZE = 64 << 10;
/** From here on such memory lies, so that the child finds nothing of its own there. */
const APART_BASE = 0x10_0000_0000;
const APART_PLACES = 4096;

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

/** Memory as a file: what a child that is apart maps, at the same address. */
export interface ApartMemory {
  readonly file: Fd;
  /** Of the file, in the child, when we have closed ours. */
  readonly fileNumber: number;
  readonly address: number;
  readonly size: number;
  /** Of the first page, which stays shared as long as the child has it: a slot in it is safe from the child's stage-2 child. */
  readonly toldSize: number;
}

export class ProgramMemory implements Disposable {
  /** Of a child that shares nothing else with us: see {@linkcode ProgramOptions}. */
  readonly apart: ApartMemory | undefined;
  #mappings: Mapping[] = [];
  #chunks: Shown[] = [];
  /** Steps name the same few paths again and again. */
  readonly #strings = new Map<string, number>();
  #used = 0;
  #told = 0;
  #isGone = false;

  constructor({ isApart = false }: { isApart?: boolean } = {}) {
    if (!isApart) return;
    using undo = new DisposableStack();
    const file = undo.use(memfd("steps"));
    setFileSize(file, APART_SIZE);
    const mapping = mapApart(file);
    this.#mappings.push(mapping);
    this.#chunks.push(showMemory(mapping, { offset: 0, size: CHUNK }));
    this.#used = TOLD_SIZE;
    this.apart = { file, fileNumber: file.number, address: mapping.address, size: APART_SIZE, toldSize: TOLD_SIZE };
    undo.move();
  }

  /** How much of the memory of a child apart has something in it, in whole pages, besides the one that stays shared. */
  settle(): number {
    const { address, toldSize } = this.apart!;
    const end = this.#chunks.at(-1)!.address + this.#used - address;
    return Math.ceil(end / TOLD_SIZE) * TOLD_SIZE - toldSize;
  }

  /** 8 bytes of the page that stays shared. */
  allocateTold(): Piece {
    const { address, bytes } = this.#chunks[0]!;
    const offset = this.#told;
    this.#told += 8;
    return { address: address + offset, view: new DataView(bytes.buffer, bytes.byteOffset + offset, 8) };
  }

  /** Zeroed memory, aligned to 16 bytes. It stays where it is until the whole is disposed. */
  allocate(size: number): Piece {
    const { address, bytes } = this.#chunkFor(size);
    const offset = this.#used;
    this.#used += Math.ceil(size / 16) * 16;
    return { address: address + offset, view: new DataView(bytes.buffer, bytes.byteOffset + offset, size) };
  }

  /** The last chunk, which has room for that many bytes. */
  #chunkFor(size: number): Shown {
    if (this.#isGone) throw new Error("Cannot use the memory of a program after its end");
    const last = this.#chunks.at(-1);
    if (last !== undefined && this.#used + size <= last.bytes.byteLength) return last;
    const chunk = this.#nextChunk(Math.max(CHUNK, Math.ceil(size / PAGE) * PAGE));
    this.#chunks.push(chunk);
    this.#used = 0;
    return chunk;
  }

  #nextChunk(size: number): Shown {
    if (this.apart === undefined) {
      const mapping = mapMemory(size);
      this.#mappings.push(mapping);
      return showMemory(mapping, { offset: 0, size });
    }
    const { address, bytes } = this.#chunks.at(-1)!;
    const offset = address + bytes.byteLength - this.apart.address;
    if (offset + size > APART_SIZE) throw new RangeError(`Cannot write down more than ${APART_SIZE} bytes of steps`);
    return showMemory(this.#mappings[0]!, { offset, size });
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
    // The NUL, and zeros for the next piece of this memory: the encoder may use the space as scratch.
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
    for (const chunk of this.#chunks.splice(0)) hideMemory(chunk);
    for (const mapping of this.#mappings.splice(0)) unmapMemory(mapping);
    this.apart?.file[Symbol.dispose]();
  }
}

/** Where nothing is yet, of ours or of another child's. */
function mapApart(file: Fd): Mapping {
  for (let place = 0; place < APART_PLACES; place++) {
    const near = APART_BASE + place * APART_SIZE;
    const mapping = mapMemory(APART_SIZE, { file, near });
    if (mapping.address === near) return mapping;
    unmapMemory(mapping);
  }
  throw new RangeError(`Cannot start more than ${APART_PLACES} children at once`);
}
