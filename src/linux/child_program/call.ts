/**
 * A system call as data, and its layout in the memory that the child walks.
 *
 * @module
 */
import { ERRNO, type ErrnoError, type ErrnoName } from "../ffi/errno.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { STEP, STEP_FLAG } from "./machine_code.ts";
import type { Piece, ProgramMemory } from "./memory.ts";
import { type SyscallName, syscallNumber } from "./syscall_numbers.ts";

/** 8 bytes that the child writes a result into, and reads arguments from. */
export class Slot {
  readonly #piece: Piece;

  constructor(piece: Piece) {
    this.#piece = piece;
  }

  get address(): number {
    return this.#piece.address;
  }

  /** Value in the slot: a result, or a negative errno. @throws {TypeError} The program's memory was freed. */
  get value(): number {
    return Number(this.#piece.view.getBigInt64(0, LITTLE_ENDIAN));
  }
}

/** A string goes as its address, NUL-terminated; bytes as the address of a copy; a slot as its value at that time. */
export type Argument = number | bigint | string | Uint8Array<ArrayBuffer> | Slot | null;

export interface CallOptions {
  /** Names the step in its error: `mount proc on /proc`. Default: the call and its first string. */
  label?: string;
  /** Go on when the call fails so; at most eight names. */
  ignore?: readonly ErrnoName[] | "all";
  /** Where the result goes, or the negative errno. */
  result?: Slot;
  /** A result of 0 is a failure too (EPIPE): the other end of a pipe has gone. */
  zeroFails?: boolean;
  /** How many of the following steps to leave out after a failure that was ignored. */
  skipIfIgnored?: number;
  /** How many of the following steps to leave out after success. */
  skipIfDone?: number;
  /** Words the failure in another way. Called in the parent, when the child has gone. */
  explain?: (failure: ErrnoError) => Error;
}

/** A step as data, before it is laid out. */
export interface Step {
  readonly number: number;
  readonly args: readonly (number | bigint | Slot)[];
  readonly label: string;
  readonly options: CallOptions;
}

/** From here on descriptors of a child are ours: out of the way of the numbers that steps give to their own. */
export const HIGH_NUMBER = 1000;

export function systemCall(name: SyscallName, args: Step["args"], options: CallOptions = {}): Step {
  return { number: syscallNumber(name), args, label: options.label ?? name, options };
}

/** Steps in memory, one after the other. */
export interface StepList {
  readonly address: number;
  readonly end: number;
  /** The step that stands at an address. */
  at(address: number): Step | undefined;
  /** Lays more steps out after the others. @throws {RangeError} There is no room for them. */
  add(more: readonly Step[]): void;
}

/** Lays steps out for the routine. @param room So many steps at most will there be, with those that are added later. */
export function layOutSteps(
  memory: Pick<ProgramMemory, "allocate">,
  steps: readonly Step[],
  room = steps.length,
): StepList {
  const { address, view } = memory.allocate(STEP.size * room);
  const words = new Uint32Array(view.buffer, view.byteOffset, WORDS * room);
  const all: Step[] = [];
  const add = (more: readonly Step[]) => {
    if (all.length + more.length > room) throw new RangeError(`Cannot run more than ${room} steps`);
    for (const step of more) layOutStep(words, WORDS * (all.push(step) - 1), step);
  };
  add(steps);
  return { address, end: address + STEP.size * room, at: (failed) => all[(failed - address) / STEP.size], add };
}

/** Words of 32 bits, the low one of two first: in a guest a DataView would take three times as long. */
const WORDS = STEP.size / 4;
const AT = {
  number: STEP.number / 4,
  arguments: STEP.arguments / 4,
  flags: STEP.flags / 4,
  ignore: STEP.ignore,
  result: STEP.result / 4,
  skipIfIgnored: STEP.skipIfIgnored / 4,
  skipIfDone: STEP.skipIfDone / 4,
} as const;

/** Plain loops, and nothing written that is 0, as the memory is: a container's hundreds of steps pass here once, cold. */
function layOutStep(words: Uint32Array<ArrayBuffer>, at: number, { number, args, options }: Step): void {
  const { ignore, result, zeroFails, skipIfIgnored, skipIfDone } = options;
  let flags = (ignore === "all" ? STEP_FLAG.ignoreAll : 0) | (zeroFails ? STEP_FLAG.zeroFails : 0);
  for (let index = 0; index < args.length; index++) {
    const argument = args[index]!;
    if (argument === 0) continue;
    const isSlot = argument instanceof Slot;
    if (isSlot) flags |= STEP_FLAG.indirect << index;
    put(words, at + AT.arguments + 2 * index, isSlot ? argument.address : argument);
  }
  put(words, at + AT.number, number);
  words[at + AT.flags] = flags;
  if (ignore !== undefined && ignore !== "all") {
    const bytes = new Uint8Array(words.buffer, words.byteOffset + 4 * at + AT.ignore, ignore.length);
    for (let index = 0; index < ignore.length; index++) bytes[index] = ERRNO[ignore[index]!];
  }
  if (result !== undefined) put(words, at + AT.result, result.address);
  if (skipIfIgnored) words[at + AT.skipIfIgnored] = skipIfIgnored;
  if (skipIfDone) words[at + AT.skipIfDone] = skipIfDone;
}

/** Writes 64 bits where there is 0 still; a negative number goes as its two's complement. */
function put(words: Uint32Array<ArrayBuffer>, at: number, value: number | bigint): void {
  if (typeof value === "bigint") return put64(words, at, value);
  words[at] = value; // which takes it modulo 2 ** 32
  if (value < 0 || value >= 2 ** 32) words[at + 1] = Math.floor(value / 2 ** 32);
}

function put64(words: Uint32Array<ArrayBuffer>, at: number, value: bigint): void {
  words[at] = Number(value & 0xffff_ffffn);
  words[at + 1] = Number((value >> 32n) & 0xffff_ffffn);
}
