/** Programs of some bytes that try to make a vsock socket, one way each; they exit with the errno, or 0. x86-64 only. @module */
import { Constants, linkElf } from "../../scripts/accelerate/elf.ts";
import { concat } from "../../scripts/guest/cpio.ts";

const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const PARAMS_BYTES = 120;
/** In `struct io_uring_params`: where the kernel says at which offsets in the ring the tail and the answers are. */
const [SQ_TAIL, CQ_CQES] = [44, 100];
const SQES = 0x10000000;

const SYSCALL = Uint8Array.of(0x0f, 0x05);
const INT_80 = Uint8Array.of(0xcd, 0x80);
/** exit(eax < 0 ? -eax : 0) */
const END = concat([
  Uint8Array.of(0x31, 0xff, 0x85, 0xc0, 0x79, 0x04, 0x89, 0xc7, 0xf7, 0xdf),
  Uint8Array.of(0xb8, ...u32(60)),
  SYSCALL,
]);

/** Loads of a number into a register, by the register's name. */
const LOAD = {
  eax: [0xb8],
  ebx: [0xbb],
  ecx: [0xb9],
  edx: [0xba],
  edi: [0xbf],
  esi: [0xbe],
  r8d: [0x41, 0xb8],
  r9d: [0x41, 0xb9],
  r10d: [0x41, 0xba],
} as const;

function load(values: Partial<Record<keyof typeof LOAD, number>>): Uint8Array {
  const loads = Object.entries(values) as [keyof typeof LOAD, number][];
  return concat(loads.map(([register, value]) => Uint8Array.of(...LOAD[register], ...u32(value))));
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

type Build = (data: Constants) => readonly Uint8Array[];

const WAYS = {
  "socket(2)": () => [load({ eax: 41, edi: AF_VSOCK, esi: SOCK_STREAM, edx: 0 }), SYSCALL],
  "socket(2) of 32 bits": () => [load({ eax: 359, ebx: AF_VSOCK, ecx: SOCK_STREAM, edx: 0 }), INT_80],
  "socketcall(2)": (data) => {
    const args = Number(data.place(Uint8Array.of(...u32(AF_VSOCK), ...u32(SOCK_STREAM), ...u32(0))));
    return [load({ eax: 102, ebx: 1, ecx: args }), INT_80];
  },
  "io_uring": (data) => {
    const params = Number(data.place(new Uint8Array(PARAMS_BYTES)));
    const map = (offset: number) => [
      load({ eax: 9, edi: 0, esi: 4096, edx: 3, r10d: 1 }),
      Uint8Array.of(0x45, 0x89, 0xe0), // r8d = r12d
      load({ r9d: offset }),
      SYSCALL,
    ];
    return [
      load({ eax: 425, edi: 8, esi: params }),
      SYSCALL,
      Uint8Array.of(0x41, 0x89, 0xc4), // r12d = eax
      ...map(0),
      Uint8Array.of(0x49, 0x89, 0xc5), // r13 = rax: the rings
      ...map(SQES),
      Uint8Array.of(0x49, 0x89, 0xc6), // r14 = rax: the one request
      Uint8Array.of(0x41, 0xc6, 0x06, 45), // its opcode: IORING_OP_SOCKET
      Uint8Array.of(0x41, 0xc7, 0x46, 4, ...u32(AF_VSOCK)),
      Uint8Array.of(0x41, 0xc7, 0x46, 8, ...u32(SOCK_STREAM)),
      Uint8Array.of(0x8b, 0x04, 0x25, ...u32(params + SQ_TAIL)), // eax = where the tail is
      Uint8Array.of(0x41, 0xc7, 0x44, 0x05, 0, ...u32(1)),
      Uint8Array.of(0x44, 0x89, 0xe7), // edi = r12d
      load({ eax: 426, esi: 1, edx: 1, r10d: 1, r8d: 0, r9d: 0 }),
      SYSCALL,
      Uint8Array.of(0x8b, 0x04, 0x25, ...u32(params + CQ_CQES)), // eax = where the answer is
      Uint8Array.of(0x41, 0x8b, 0x44, 0x05, 8), // eax = its result
    ];
  },
} as const satisfies Record<string, Build>;

export type VsockWay = keyof typeof WAYS;
export const VSOCK_WAYS = Object.keys(WAYS) as readonly VsockWay[];

export function vsockProgram(way: VsockWay): Uint8Array<ArrayBuffer> {
  const data = new Constants(0x500000n);
  const code = concat([...WAYS[way](data), END]);
  return linkElf("x86_64", code, data);
}
