/**
 * Predicts a filter's answer to a system call before the filter is loaded, so that forbidden calls can go first. Pure.
 *
 * @see https://man7.org/linux/man-pages/man2/seccomp.2.html
 * @module
 */
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { FILTER_CODE, FILTER_DATA } from "./filter_code.ts";
import { AUDIT_ARCH } from "./seccomp_only.ts";
import { type SyscallName, syscallNumber } from "../child_program/syscall_numbers.ts";

const ACTION_BITS = 0xffff0000;
/** Or allowed and noted down. */
const ALLOWED: readonly number[] = [0x7fff0000, 0x7ffc0000];

/** Whether a jump's condition holds. */
const CONDITIONS: ReadonlyMap<number, (value: number, than: number) => boolean> = new Map([
  [FILTER_CODE.equal, (value, than) => value === than],
  [FILTER_CODE.above, (value, than) => value > than],
  [FILTER_CODE.atLeast, (value, than) => value >= than],
  [FILTER_CODE.anyBit, (value, than) => (value & than) !== 0],
]);

/**
 * Whether a filter lets a call of this machine's own kind through.
 *
 * @param program `struct sock_filter[]`
 * @param args Up to six; those that are left out are 0.
 * @returns False as well if the filter is made of what is not known here.
 */
export function allowsCall(
  program: Uint8Array<ArrayBuffer>,
  { name, args = [] }: { name: SyscallName; args?: readonly number[] },
): boolean {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const data = seccompData(name, args);
  let value = 0;
  for (let at = 0; at + 8 <= code.byteLength;) {
    const operation = code.getUint16(at, LITTLE_ENDIAN);
    const immediate = code.getUint32(at + 4, LITTLE_ENDIAN);
    const condition = CONDITIONS.get(operation);
    at += 8;
    if (condition !== undefined) at += 8 * code.getUint8(at - 8 + (condition(value, immediate) ? 2 : 3));
    else if (operation === FILTER_CODE.load) value = data.getUint32(immediate, LITTLE_ENDIAN);
    else if (operation === FILTER_CODE.and) value = (value & immediate) >>> 0;
    else if (operation === FILTER_CODE.jump) at += 8 * immediate;
    else return operation === FILTER_CODE.end && ALLOWED.includes((immediate & ACTION_BITS) >>> 0);
  }
  return false;
}

/** `struct seccomp_data`: number, architecture, where the call is made, its arguments. */
function seccompData(name: SyscallName, args: readonly number[]): DataView {
  const data = new DataView(new ArrayBuffer(FILTER_DATA.size));
  data.setUint32(FILTER_DATA.number, syscallNumber(name), LITTLE_ENDIAN);
  data.setUint32(FILTER_DATA.architecture, AUDIT_ARCH[Deno.build.arch], LITTLE_ENDIAN);
  args.forEach((arg, index) => data.setBigUint64(FILTER_DATA.arguments + 8 * index, BigInt(arg), LITTLE_ENDIAN));
  return data;
}
