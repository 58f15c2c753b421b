/** Instructions of seccomp filters, which are classic BPF. @see https://man7.org/linux/man-pages/man2/seccomp.2.html @module */
import { LITTLE_ENDIAN } from "../ffi/libc.ts";

/** Instructions that libseccomp makes filters of: loads of words, jumps, and the answer at the end. */
export const FILTER_CODE = {
  load: 0x20,
  and: 0x54,
  jump: 0x05,
  equal: 0x15,
  above: 0x25,
  atLeast: 0x35,
  anyBit: 0x45,
  end: 0x06,
} as const;

/** Offsets in struct seccomp_data. */
export const FILTER_DATA = { number: 0, architecture: 4, arguments: 16, size: 64 } as const;

export interface Instruction {
  code: number;
  value: number;
  /** Instructions to skip if the condition of a jump holds, and if not. */
  then?: number;
  otherwise?: number;
}

/** @returns `struct sock_filter[]`, as seccomp(2) takes it. */
export function encodeFilter(instructions: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(8 * instructions.length));
  instructions.forEach(({ code, value, then = 0, otherwise = 0 }, index) => {
    view.setUint16(8 * index, code, LITTLE_ENDIAN);
    view.setUint8(8 * index + 2, then);
    view.setUint8(8 * index + 3, otherwise);
    view.setUint32(8 * index + 4, value, LITTLE_ENDIAN);
  });
  return new Uint8Array(view.buffer);
}
