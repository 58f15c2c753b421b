/**
 * The kernel's description of its own types and functions (BTF), as far as finding a function's number and a member's
 * place goes. Pure.
 *
 * @see https://docs.kernel.org/bpf/btf.html
 * @module
 */
import { LITTLE_ENDIAN } from "../ffi/libc.ts";

const MAGIC = 0xeb9f;
/** Bytes of `struct btf_type`. */
const TYPE_SIZE = 12;
const KIND_STRUCT = 4;
const KIND_FUNC = 12;
/** Bytes that follow a type of a kind: so many in any case, and so many for each of its members. */
const MORE: Readonly<Record<number, { fixed?: number; each?: number }>> = {
  1: { fixed: 4 }, // int
  3: { fixed: 12 }, // array
  4: { each: 12 }, // struct
  5: { each: 12 }, // union
  6: { each: 8 }, // enum
  13: { each: 8 }, // function's prototype
  14: { fixed: 4 }, // variable
  15: { each: 12 }, // data section
  17: { fixed: 4 }, // tag of a declaration
  19: { each: 12 }, // enum of 64 bits
};

/**
 * Finds a function's number, by which programs that are attached to it name it.
 *
 * @param btf `/sys/kernel/btf/vmlinux`, or the same bytes in a kernel's own file.
 * @returns undefined if there is none of this name. @throws {TypeError} It is no BTF of this machine's byte order.
 */
export function findBtfFunction(btf: Uint8Array<ArrayBuffer>, name: string): number | undefined {
  return findType(btf, { kind: KIND_FUNC, name })?.id;
}

/**
 * Finds where a member of a structure begins.
 *
 * @param btf As for {@linkcode findBtfFunction}.
 * @returns Its offset in bytes; undefined if there is no such structure, or no member of this name directly in it.
 */
export function findBtfMember(btf: Uint8Array<ArrayBuffer>, structure: string, member: string): number | undefined {
  const found = findType(btf, { kind: KIND_STRUCT, name: structure });
  const { word, nameOf } = open(btf);
  const name = nameOf(member);
  if (found === undefined || name === undefined) return undefined;
  const members = Array.from({ length: found.members }, (_, number) => found.at + TYPE_SIZE + 12 * number);
  const at = members.find((at) => word(at) === name);
  // With bit fields among the members, the upper 8 bits are a width.
  return at === undefined ? undefined : (word(at + 8) & 0xffffff) / 8;
}

interface Btf {
  word(at: number): number;
  /** Where a name stands among all names; undefined if it is not there. */
  nameOf(name: string): number | undefined;
  /** Where the types begin and end. */
  types: { begin: number; end: number };
}

function open(btf: Uint8Array<ArrayBuffer>): Btf {
  const view = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
  if (view.byteLength < 24 || view.getUint16(0, LITTLE_ENDIAN) !== MAGIC) throw new TypeError("Cannot read BTF");
  const word = (at: number) => view.getUint32(at, LITTLE_ENDIAN);
  const header = word(4);
  const strings = header + word(16);
  const begin = header + word(8);
  return {
    word,
    nameOf: (name) => offsetOf(btf.subarray(strings, strings + word(20)), name),
    types: { begin, end: begin + word(12) },
  };
}

interface BtfType {
  id: number;
  at: number;
  members: number;
}

function findType(btf: Uint8Array<ArrayBuffer>, wanted: { kind: number; name: string }): BtfType | undefined {
  const { word, nameOf, types } = open(btf);
  const name = nameOf(wanted.name);
  if (name === undefined) return undefined;
  let id = 1; // 0 is void
  for (let at = types.begin; at + TYPE_SIZE <= types.end; id++) {
    const info = word(at + 4);
    const kind = (info >>> 24) & 0x1f;
    const members = info & 0xffff;
    if (kind === wanted.kind && word(at) === name) return { id, at, members };
    const { fixed = 0, each = 0 } = MORE[kind] ?? {};
    at += TYPE_SIZE + fixed + each * members;
  }
  return undefined;
}

/** Where a name stands among strings that end with NUL each. */
function offsetOf(strings: Uint8Array, name: string): number | undefined {
  const wanted = new TextEncoder().encode(`\0${name}\0`);
  for (let at = 0; (at = strings.indexOf(wanted[1]!, at)) >= 0; at++) {
    if (at > 0 && wanted.every((byte, index) => strings[at - 1 + index] === byte)) return at;
  }
  return undefined;
}
