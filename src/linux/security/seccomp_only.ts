/**
 * A filter for a process that does one thing: all other system calls kill it, even when an attacker controls it.
 *
 * @see https://man7.org/linux/man-pages/man2/seccomp.2.html
 * @module
 */
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { type SyscallName, syscallNumber } from "../child_program/syscall_numbers.ts";

const BPF_LOAD_WORD = 0x20;
const BPF_JUMP_IF_EQUAL = 0x15;
const BPF_RETURN = 0x06;
/** Offsets in struct seccomp_data. */
const DATA = { number: 0, architecture: 4 } as const;
/** How filters tell architectures apart. */
export const AUDIT_ARCH = { x86_64: 0xc000003e, aarch64: 0xc00000b7 } as const;
const SECCOMP_RET = { kill: 0x80000000, allow: 0x7fff0000 } as const;

/** @returns Instructions, as seccomp(2) takes them. */
export function onlyCalls(names: readonly SyscallName[]): Uint8Array<ArrayBuffer> {
  const { length } = names;
  const instructions = [
    { code: BPF_LOAD_WORD, value: DATA.architecture },
    { code: BPF_JUMP_IF_EQUAL, value: AUDIT_ARCH[Deno.build.arch], otherwise: length + 1 },
    { code: BPF_LOAD_WORD, value: DATA.number },
    ...names.map((name, index) => ({ code: BPF_JUMP_IF_EQUAL, value: syscallNumber(name), then: length - index })),
    { code: BPF_RETURN, value: SECCOMP_RET.kill },
    { code: BPF_RETURN, value: SECCOMP_RET.allow },
  ];
  const view = new DataView(new ArrayBuffer(8 * instructions.length));
  instructions.forEach(({ code, value, ...jumps }, index) => {
    const { then = 0, otherwise = 0 } = jumps as { then?: number; otherwise?: number };
    view.setUint16(8 * index, code, LITTLE_ENDIAN);
    view.setUint8(8 * index + 2, then);
    view.setUint8(8 * index + 3, otherwise);
    view.setUint32(8 * index + 4, value, LITTLE_ENDIAN);
  });
  return new Uint8Array(view.buffer);
}
