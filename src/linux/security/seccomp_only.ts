/**
 * A filter for a process that does one thing: all other system calls kill it, even when an attacker controls it.
 *
 * @see https://man7.org/linux/man-pages/man2/seccomp.2.html
 * @module
 */
import { encodeFilter, FILTER_CODE, FILTER_DATA } from "./filter_code.ts";
import { type SyscallName, syscallNumber } from "../child_program/syscall_numbers.ts";

/** How filters tell architectures apart. */
export const AUDIT_ARCH = { x86_64: 0xc000003e, aarch64: 0xc00000b7 } as const;
const SECCOMP_RET = { kill: 0x80000000, allow: 0x7fff0000 } as const;

/** @returns Instructions, as seccomp(2) takes them. */
export function onlyCalls(names: readonly SyscallName[]): Uint8Array<ArrayBuffer> {
  const { length } = names;
  const { load, equal, end } = FILTER_CODE;
  return encodeFilter([
    { code: load, value: FILTER_DATA.architecture },
    { code: equal, value: AUDIT_ARCH[Deno.build.arch], otherwise: length + 1 },
    { code: load, value: FILTER_DATA.number },
    ...names.map((name, index) => ({ code: equal, value: syscallNumber(name), then: length - index })),
    { code: end, value: SECCOMP_RET.kill },
    { code: end, value: SECCOMP_RET.allow },
  ]);
}
