/**
 * Static executables of some kilobytes, written without a linker: machine code, and the constants that it needs.
 *
 * @module
 */
import type { Architecture } from "../../src/linux/child_program/syscall_numbers.ts";
import { concat } from "../guest/cpio.ts";

const BASE = 0x400000;
const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const MACHINE = { x86_64: 62, aarch64: 183 } as const satisfies Record<Architecture, number>;
const LITTLE_ENDIAN = true;

/** Room for the headers, which are loaded together with the code. */
const CODE_OFFSET = 0x100;

/** Where the code begins in memory; its first instruction is the entry. */
export const CODE_ADDRESS: bigint = BigInt(BASE + CODE_OFFSET);

/**
 * Values that {@link Constants} can hold: a number as it is, all others by their addresses; arrays end with a null
 * pointer.
 */
export type Constant = number | string | Uint8Array | readonly Constant[];

/** Strings and structures, each at an address that is known as soon as it is placed. */
export class Constants {
  readonly start: bigint;
  readonly #parts: Uint8Array[] = [];
  readonly #strings = new Map<string, bigint>();
  #length = 0;

  /** @param start Their address, a multiple of 8. */
  constructor(start: bigint) {
    this.start = start;
  }

  /** @returns What stands for the constant in a register or in a structure. */
  place(constant: Constant): bigint {
    if (typeof constant === "number") return BigInt.asUintN(64, BigInt(constant));
    if (typeof constant === "string") return this.#placeString(constant);
    if (constant instanceof Uint8Array) return this.#append(constant);
    const pointers = constant.map((element) => uint64(this.place(element)));
    return this.#append(concat([...pointers, uint64(0n)]));
  }

  bytes(): Uint8Array {
    return concat(this.#parts);
  }

  /** Each string is there once. */
  #placeString(text: string): bigint {
    const address = this.#strings.get(text) ?? this.#append(new TextEncoder().encode(`${text}\0`));
    this.#strings.set(text, address);
    return address;
  }

  #append(bytes: Uint8Array): bigint {
    const address = this.start + BigInt(this.#length);
    const padding = new Uint8Array((8 - bytes.length % 8) % 8);
    this.#parts.push(bytes, padding);
    this.#length += bytes.length + padding.length;
    return address;
  }
}

/**
 * @param code Loaded at {@link CODE_ADDRESS}, not writable; constants may follow in it.
 * @param data A segment of its own. Its address is a multiple of 4096.
 * @see elf(5)
 */
export function linkElf(architecture: Architecture, code: Uint8Array, data?: Constants): Uint8Array<ArrayBuffer> {
  const text = concat([new Uint8Array(CODE_OFFSET), code]);
  const first = { address: BASE, bytes: text.length, align: LARGEST_PAGE };
  const segments = [programHeader({ type: LOAD, flags: READ | EXECUTE, ...first })];
  const contents: Uint8Array[] = [text];
  if (data !== undefined) {
    const bytes = data.bytes();
    const offset = Math.ceil(text.length / SMALLEST_PAGE) * SMALLEST_PAGE;
    const place = { offset, address: Number(data.start), bytes: bytes.length, align: SMALLEST_PAGE };
    segments.push(programHeader({ type: LOAD, flags: READ | WRITE, ...place }));
    contents.push(new Uint8Array(offset - text.length), bytes);
  }
  segments.push(programHeader({ type: GNU_STACK, flags: READ | WRITE }));
  text.set(concat([elfHeader(architecture, segments.length), ...segments]));
  return concat(contents);
}

const LOAD = 1;
const GNU_STACK = 0x6474e551;
const EXECUTE = 1;
const WRITE = 2;
const READ = 4;
const SMALLEST_PAGE = 0x1000;
/** Some kernels for aarch64 have pages of 64 KiB. */
const LARGEST_PAGE = 0x10000;

function elfHeader(architecture: Architecture, segments: number): Uint8Array {
  return concat([
    Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, /* 64 bit */ 1, /* little endian */ 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    uint16(2 /* ET_EXEC */),
    uint16(MACHINE[architecture]),
    uint32(1),
    uint64(CODE_ADDRESS),
    uint64(BigInt(ELF_HEADER_BYTES)),
    uint64(0n),
    uint32(0),
    ...[ELF_HEADER_BYTES, PROGRAM_HEADER_BYTES, segments, 64, 0, 0].map(uint16),
  ]);
}

interface ProgramHeader {
  type: number;
  flags: number;
  offset?: number;
  address?: number;
  bytes?: number;
  align?: number;
}

function programHeader(header: ProgramHeader): Uint8Array {
  const { type, flags, offset = 0, address = 0, bytes = 0, align = 16 } = header;
  const words = [offset, address, address, bytes, bytes, align];
  return concat([uint32(type), uint32(flags), ...words.map((word) => uint64(BigInt(word)))]);
}

export function uint16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8);
}

/** @param value May be negative. */
export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value | 0, LITTLE_ENDIAN);
  return bytes;
}

/** @param value May be negative. */
export function uint64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), LITTLE_ENDIAN);
  return bytes;
}
