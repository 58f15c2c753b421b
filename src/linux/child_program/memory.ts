/**
 * Memory that a child and we have at once, filled from the front. A program owns one.
 *
 * @module
 */
import { type Fd, sealableMemfd, setFileSize } from "../io/fd.ts";
import { LITTLE_ENDIAN, refuseNul } from "../ffi/libc.ts";
import { hideMemory, mapMemory, type Mapping, showMemory, type Shown, unmapMemory } from "./machine_code.ts";

/** As large as pages are on any kernel. */
export const PAGE = 64 << 10;
/** Bytes that suffice for most programs; the kernel takes pages only when they are written. */
const CHUNK = 2 * PAGE;

/**
 * Where a child that is apart has its memory, so that it finds nothing of its own there; ours lies wherever there is room.
 * The first page goes another way than the rest: it is shared with us, and no child that is forked has it. It begins with
 * the size of the rest.
 */
export const TOLD_ADDRESS = 0x10_0000_0000;
/** Where the rest begins, with what is allocated first. */
export const REST_ADDRESS: number = TOLD_ADDRESS + PAGE;
/** Address space for all; we look at the written part only. */
const APART_SIZE = 32 << 20;

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
  /** Memory as a file, for a child that is apart: see {@linkcode ProgramOptions}. */
  readonly file: Fd | undefined;
  #mappings: Mapping[] = [];
  #chunks: Shown[] = [];
  /** Steps name the same few paths again and again. */
  readonly #strings = new Map<string, number>();
  #used = 0;
  /** Of the first page of a child apart. */
  #told = 8;
  /** Distance from an address of the child's to ours. */
  #shift = 0;
  #isGone = false;

  constructor({ isApart = false }: { isApart?: boolean } = {}) {
    if (!isApart) return;
    using undo = new DisposableStack();
    const file = undo.use(sealableMemfd("steps"));
    setFileSize(file, APART_SIZE);
    const mapping = mapMemory(APART_SIZE, file);
    this.#mappings.push(mapping);
    this.#shift = mapping.address - TOLD_ADDRESS;
    this.#chunks.push(this.#showApart(0, CHUNK));
    this.#used = PAGE;
    this.file = file;
    undo.move();
  }

  /** Memory of the same file, by our addresses: for what the child does before it is apart. */
  get ours(): Pick<ProgramMemory, "allocate"> {
    if (this.file === undefined) return this;
    return {
      allocate: (size) => {
        const { address, view } = this.allocate(size);
        return { address: address + this.#shift, view };
      },
    };
  }

  /** Says how much of the memory a child apart takes: what is written, in whole pages, or all if more may be written. */
  settle({ mayGrow }: { mayGrow: boolean }): void {
    if (this.file === undefined) return;
    const end = mayGrow ? TOLD_ADDRESS + APART_SIZE : this.#chunks.at(-1)!.address + this.#used;
    const [{ bytes }] = this.#chunks as [Shown];
    setWord(new DataView(bytes.buffer), 0, Math.ceil((end - REST_ADDRESS) / PAGE) * PAGE);
  }

  /**
   * Goes on with a page of its own. A child that is apart sees what we write, up to its own first write into the same
   * page, which makes that its own: so pages that we write into later hold nothing of before.
   */
  turnPage(): void {
    const { address } = this.#chunks.at(-1) ?? { address: 0 };
    this.#used = Math.ceil((address + this.#used) / PAGE) * PAGE - address;
  }

  /** 8 bytes of the page that stays shared. @throws {RangeError} It is full. */
  allocateTold(): Piece {
    const { address, bytes } = this.#chunks[0]!;
    const offset = this.#told;
    if (offset + 8 > PAGE) throw new RangeError(`Cannot be told more than ${PAGE / 8} results of a child`);
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
    if (this.file === undefined) {
      const mapping = mapMemory(size);
      this.#mappings.push(mapping);
      return showMemory(mapping, { offset: 0, size });
    }
    const { address, bytes } = this.#chunks.at(-1)!;
    const offset = address + bytes.byteLength - TOLD_ADDRESS;
    if (offset + size > APART_SIZE) throw new RangeError(`Cannot write down more than ${APART_SIZE} bytes of steps`);
    return this.#showApart(offset, size);
  }

  /** Pieces of it have the child's addresses. */
  #showApart(offset: number, size: number): Shown {
    const { bytes } = showMemory(this.#mappings[0]!, { offset, size });
    return { address: TOLD_ADDRESS + offset, bytes };
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
    this.file?.[Symbol.dispose]();
  }
}
