/**
 * A system call as data, and its layout in the memory that the child walks.
 *
 * @module
 */
import { ERRNO, type ErrnoError, type ErrnoName } from "../ffi/errno.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { STEP, STEP_FLAG } from "./machine_code.ts";
import { type Piece, type ProgramMemory, setWord } from "./memory.ts";
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

  /** For a step that takes what is not known when it is written down. */
  set value(value: number) {
    setWord(this.#piece.view, 0, value);
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
  const all: Step[] = [];
  const add = (more: readonly Step[]) => {
    if (all.length + more.length > room) throw new RangeError(`Cannot run more than ${room} steps`);
    for (const step of more) layOutStep(view, STEP.size * (all.push(step) - 1), step);
  };
  add(steps);
  return { address, end: address + STEP.size * room, at: (failed) => all[(failed - address) / STEP.size], add };
}

/** Plain loops, and nothing written that is 0, as the memory is: a container's hundreds of steps pass here once, cold. */
function layOutStep(view: DataView<ArrayBuffer>, at: number, { number, args, options }: Step): void {
  const { ignore, result, zeroFails, skipIfIgnored, skipIfDone } = options;
  let flags = (ignore === "all" ? STEP_FLAG.ignoreAll : 0) | (zeroFails ? STEP_FLAG.zeroFails : 0);
  for (let index = 0; index < args.length; index++) {
    const argument = args[index]!;
    const isSlot = argument instanceof Slot;
    if (isSlot) flags |= STEP_FLAG.indirect << index;
    if (argument !== 0) setWord(view, at + STEP.arguments + 8 * index, isSlot ? argument.address : argument);
  }
  setWord(view, at + STEP.number, number);
  if (flags !== 0) view.setUint32(at + STEP.flags, flags, LITTLE_ENDIAN);
  if (ignore !== undefined && ignore !== "all") {
    for (let index = 0; index < ignore.length; index++) view.setUint8(at + STEP.ignore + index, ERRNO[ignore[index]!]);
  }
  if (result !== undefined) setWord(view, at + STEP.result, result.address);
  if (skipIfIgnored) view.setUint32(at + STEP.skipIfIgnored, skipIfIgnored, LITTLE_ENDIAN);
  if (skipIfDone) view.setUint32(at + STEP.skipIfDone, skipIfDone, LITTLE_ENDIAN);
}
