/**
 * Programs for the kernel's own machine: instructions to bytes (pure), and the system call.
 *
 * @see https://man7.org/linux/man-pages/man2/bpf.2.html
 * @module
 */
import { Fd } from "../io/fd.ts";
import { addressIn, bind, check, cstring, LITTLE_ENDIAN } from "../ffi/libc.ts";
import { syscallNumber } from "../child_program/syscall_numbers.ts";

/** `struct bpf_insn`: u8 code, u4 destination, u4 source, i16 jump, i32 immediate. */
export interface Instruction {
  code: number;
  destination?: number;
  source?: number;
  /** Instructions to skip, or the offset of a load or store. */
  offset?: number;
  immediate?: number;
}

const INSTRUCTION_SIZE = 8;

/** Operation codes that our programs use. */
export const CODE = {
  /** Takes two places: the upper half of the number is the immediate of the next. */
  LOAD_IMMEDIATE_64: 0x18,
  LOAD_U32: 0x61,
  LOAD_U64: 0x79,
  STORE_IMMEDIATE_U32: 0x62,
  ADD: 0x07,
  MOVE: 0xb7,
  MOVE_REGISTER: 0xbf,
  AND: 0x57,
  SHIFT_RIGHT: 0x77,
  JUMP: 0x05,
  JUMP_IF_EQUAL: 0x15,
  JUMP_IF_NOT_EQUAL: 0x55,
  JUMP_IF_ANY_BIT: 0x45,
  /** The lower half of a register. */
  JUMP_IF_EQUAL_32: 0x16,
  JUMP_IF_NOT_EQUAL_32: 0x56,
  CALL: 0x85,
  EXIT: 0x95,
} as const;

/** @returns `struct bpf_insn[]` */
export function encodeProgram(instructions: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(instructions.length * INSTRUCTION_SIZE);
  const view = new DataView(bytes.buffer);
  for (const [i, { code, destination = 0, source = 0, offset = 0, immediate = 0 }] of instructions.entries()) {
    view.setUint8(i * INSTRUCTION_SIZE, code);
    view.setUint8(i * INSTRUCTION_SIZE + 1, destination | (source << 4));
    view.setInt16(i * INSTRUCTION_SIZE + 2, offset, LITTLE_ENDIAN);
    view.setInt32(i * INSTRUCTION_SIZE + 4, immediate, LITTLE_ENDIAN);
  }
  return bytes;
}

const libc = bind({
  bpf: {
    name: "syscall",
    parameters: ["i64", "i32", /* command */ "buffer", /* union bpf_attr */ "u32"],
    result: "i64",
  },
});

const COMMAND = {
  MAP_CREATE: 0,
  MAP_UPDATE_ELEM: 2,
  PROG_LOAD: 5,
  PROG_ATTACH: 8,
  PROG_DETACH: 9,
  PROG_GET_FD_BY_ID: 13,
  PROG_QUERY: 16,
  LINK_CREATE: 28,
} as const;

/**
 * One bpf(2).
 *
 * @param attributes The union, and behind it whatever it points to: no part may be collected before the call.
 * @param size Bytes of the union alone.
 * @throws {ErrnoError} `bpf BPF_PROG_LOAD: EPERM`
 */
export function bpf(
  command: keyof typeof COMMAND,
  attributes: Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
  size: number = attributes.byteLength,
): number {
  return check(
    "bpf",
    () => libc.bpf(syscallNumber("bpf"), COMMAND[command], attributes, size),
    `BPF_${command}`,
  );
}

/** Kind of a program, against which the kernel checks it. */
export interface ProgramKind {
  /** `BPF_PROG_TYPE_*` */
  type: number;
  /** Where it will be attached, for the types that want to know. */
  attachType?: number;
  /** The kernel's function that it is for, by its number: see `btf.ts`. */
  attachTo?: number;
  license?: string;
}

/** Bytes of the part of union bpf_attr that loading fills. */
const LOAD_SIZE = 112;

/** Loads without attaching, as a trial as well. @throws {ErrnoError} EACCES or EINVAL: the kernel's verifier refuses. */
export function loadProgram(program: Uint8Array<ArrayBuffer>, kind: ProgramKind): Fd {
  const { type, attachType = 0, attachTo = 0 } = kind;
  const license = cstring(kind.license ?? "Apache-2.0");
  // u32 type, count; u64 program, license; … u32 attach type at 68; u32 number of a function at 108.
  const whole = new Uint8Array(LOAD_SIZE + program.length + license.length);
  const view = new DataView(whole.buffer);
  whole.set(program, LOAD_SIZE);
  whole.set(license, LOAD_SIZE + program.length);
  view.setUint32(0, type, LITTLE_ENDIAN);
  view.setUint32(4, program.length / INSTRUCTION_SIZE, LITTLE_ENDIAN);
  view.setBigUint64(8, addressIn(whole, LOAD_SIZE), LITTLE_ENDIAN);
  view.setBigUint64(16, addressIn(whole, LOAD_SIZE + program.length), LITTLE_ENDIAN);
  view.setUint32(68, attachType, LITTLE_ENDIAN);
  view.setUint32(108, attachTo, LITTLE_ENDIAN);
  return new Fd(bpf("PROG_LOAD", whole, LOAD_SIZE));
}
