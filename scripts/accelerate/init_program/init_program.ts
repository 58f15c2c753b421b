/**
 * The initramfs's /init as a list of system calls, assembled into a static executable of a few kilobytes. A shell would
 * cost an exec and some forks per command, and under software emulation each of these is worth many milliseconds.
 *
 * @module
 */
import type { Architecture } from "../../../src/linux/child_program/syscall_numbers.ts";
import { type Constant, Constants, linkElf, uint32, uint64 } from "../elf.ts";
import { concat } from "../../guest/cpio.ts";

/** One system call. What to do if it fails: go on, or (after `retries` times with 10 ms between) say so and end. */
export interface Step {
  call: SyscallName;
  args: readonly Constant[];
  onError: "ignore" | "stop";
  retries?: number;
}

type SyscallName = keyof typeof SYSCALLS;

/** Numbers on [x86_64, aarch64]; only calls that exist on both. @see syscalls(2) */
const SYSCALLS = {
  openat: [257, 56],
  close: [3, 57],
  dup3: [292, 24],
  write: [1, 64],
  mount: [165, 40],
  mkdirat: [258, 34],
  unlinkat: [263, 35],
  chdir: [80, 49],
  chroot: [161, 51],
  execve: [59, 221],
  exit: [60, 93],
  nanosleep: [35, 101],
  reboot: [169, 142],
  finit_module: [313, 273],
} as const;

/** Instructions that differ between the instruction sets. Each function returns machine code. */
export interface Encoder {
  /** Loads the arguments into their registers and enters the kernel. */
  call(number: number, args: readonly bigint[]): Uint8Array;
  /** Jumps over the next `distance` bytes unless the last call failed. */
  skipUnlessFailed(distance: number): Uint8Array;
  /** Sets the retry counter, which no system call touches. */
  setCounter(value: number): Uint8Array;
  /** Decrements the counter and, unless it is 0 now, jumps back over `distance` bytes before this instruction. */
  countBack(distance: number): Uint8Array;
}

const X86_64: Encoder = {
  call(number, args) {
    // mov rdi/rsi/rdx/r10/r8/r9, imm64
    const registers = [[0x48, 0xbf], [0x48, 0xbe], [0x48, 0xba], [0x49, 0xba], [0x49, 0xb8], [0x49, 0xb9]];
    const moves = args.map((value, index) => concat([Uint8Array.from(registers[index]!), uint64(value)]));
    return concat([
      ...moves,
      Uint8Array.of(0xb8),
      uint32(number), /* mov eax */
      Uint8Array.of(0x0f, 0x05), /* syscall */
    ]);
  },
  skipUnlessFailed(distance) {
    // cmp rax, -4095; jb distance
    return concat([Uint8Array.of(0x48, 0x3d), uint32(-4095), Uint8Array.of(0x0f, 0x82), uint32(distance)]);
  },
  setCounter: (value) => concat([Uint8Array.of(0x41, 0xbc), uint32(value)]), // mov r12d, value
  countBack(distance) {
    // dec r12d; jnz back (relative to the end of this 9-byte sequence)
    return concat([Uint8Array.of(0x41, 0xff, 0xcc), Uint8Array.of(0x0f, 0x85), uint32(-(distance + 9))]);
  },
};

const AARCH64: Encoder = {
  call(number, args) {
    const moves = args.map((value, register) => moveWide(register, value));
    return concat([...moves, moveWide(8, BigInt(number)), uint32(0xd4000001) /* svc #0 */]);
  },
  skipUnlessFailed(distance) {
    // cmn x0, #4095; b.lo (carry clear) distance
    return concat([uint32(0xb13ffc1f), uint32(0x54000003 | ((distance / 4 + 1) << 5))]);
  },
  setCounter: (value) => moveWide(19, BigInt(value)),
  countBack(distance) {
    // subs x19, x19, #1; b.ne back
    return concat([uint32(0xf1000673), uint32(0x54000001 | ((-(distance / 4 + 1) & 0x7ffff) << 5))]);
  },
};

/** For tests: what the pieces of the code are. */
export const ENCODERS = { x86_64: X86_64, aarch64: AARCH64 } satisfies Record<Architecture, Encoder>;

/** A segment of its own: its address is known before the length of the code. */
const DATA_ADDRESS = 0x500000n;

export interface AssembleOptions {
  /** Steps to take once a failed step has been named on standard output; by default, exit with status 1. */
  giveUp?: Pick<Step, "call" | "args">;
}

/** Assembles a static ELF executable that runs the steps in order. */
export function assembleInit(
  steps: readonly Step[],
  architecture: Architecture,
  { giveUp = { call: "exit", args: [1] } }: AssembleOptions = {},
): Uint8Array<ArrayBuffer> {
  const encoder = ENCODERS[architecture];
  const column = architecture === "x86_64" ? 0 : 1;
  const data = new Constants(DATA_ADDRESS);
  const call = (name: SyscallName, args: readonly Constant[]) =>
    encoder.call(SYSCALLS[name][column], args.map((argument) => data.place(argument)));
  const code = concat(steps.map((step) => assembleStep(step, { encoder, call, giveUp })));
  return linkElf(architecture, code, data);
}

interface Assembly {
  encoder: Encoder;
  call: (name: SyscallName, args: readonly Constant[]) => Uint8Array;
  giveUp: Pick<Step, "call" | "args">;
}

function assembleStep(step: Step, { encoder, call, giveUp }: Assembly): Uint8Array {
  const attempt = call(step.call, step.args);
  if (step.onError === "ignore") return attempt;
  const message = `init: Cannot ${step.call} ${step.args.filter((arg) => typeof arg === "string").join(" ")}\n`;
  const end = concat([call("write", [1, message, message.length]), call(giveUp.call, giveUp.args)]);
  const again = step.retries === undefined ? new Uint8Array() : retry(attempt, encoder, call);
  const start = step.retries === undefined ? new Uint8Array() : encoder.setCounter(step.retries);
  return concat([start, attempt, encoder.skipUnlessFailed(again.length + end.length), again, end]);
}

/** Sleeps 10 ms and goes back to the attempt, which stands just before the failure check, until the counter is 0. */
function retry(attempt: Uint8Array, encoder: Encoder, call: Assembly["call"]): Uint8Array {
  const sleep = call("nanosleep", [concat([uint64(0n), uint64(10_000_000n)]), 0]);
  const check = encoder.skipUnlessFailed(0).length;
  return concat([sleep, encoder.countBack(attempt.length + check + sleep.length)]);
}

/** movz and three movk: a 64-bit constant into an aarch64 register. */
function moveWide(register: number, value: bigint): Uint8Array {
  const parts = [0, 1, 2, 3].map((quarter) => {
    const bits = Number((value >> BigInt(16 * quarter)) & 0xffffn);
    const opcode = quarter === 0 ? 0xd2800000 : 0xf2800000;
    return uint32((opcode | (quarter << 21) | (bits << 5) | register) >>> 0);
  });
  return concat(parts);
}
