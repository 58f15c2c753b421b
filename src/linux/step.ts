/**
 * A system call as data, and its layout in the memory that the child walks.
 *
 * @module
 */
import { ERRNO, type ErrnoError, type ErrnoName } from "./errno.ts";
import { LITTLE_ENDIAN } from "./libc.ts";
import { STEP, STEP_FLAG } from "./machine_code.ts";
import type { Piece, ProgramMemory } from "./program_memory.ts";

/** 8 bytes that the child writes a result into, and reads arguments from. */
export class Slot {
  readonly #piece: Piece;

  constructor(piece: Piece) {
    this.#piece = piece;
  }

  get address(): bigint {
    return this.#piece.address;
  }

  /** What stands there: a result, or a negative errno. @throws {TypeError} The program's memory was freed. */
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
  /** Words the failure in another way. It runs in the parent, when the child has gone. */
  explain?: (failure: ErrnoError) => Error;
}

/** A step as data, before it is laid out. */
export interface Step {
  readonly number: number;
  readonly args: readonly (bigint | Slot)[];
  readonly label: string;
  readonly options: CallOptions;
}

/** Steps in memory, one after the other. */
export interface StepList {
  readonly address: bigint;
  readonly end: bigint;
  /** The step that stands at an address. */
  at(address: bigint): Step | undefined;
}

/** Lays steps out for the routine. */
export function layOutSteps(memory: ProgramMemory, steps: readonly Step[]): StepList {
  const { address, view } = memory.allocate(STEP.size * steps.length);
  steps.forEach((step, index) => {
    layOutStep(new DataView(view.buffer, view.byteOffset + STEP.size * index, STEP.size), step);
  });
  return {
    address,
    end: address + BigInt(STEP.size * steps.length),
    at: (failed) => steps[Number(failed - address) / STEP.size],
  };
}

function layOutStep(view: DataView<ArrayBuffer>, { number, args, options }: Step): void {
  const { ignore = [], result, zeroFails = false, skipIfIgnored = 0, skipIfDone = 0 } = options;
  let flags = (ignore === "all" ? STEP_FLAG.ignoreAll : 0) | (zeroFails ? STEP_FLAG.zeroFails : 0);
  args.forEach((argument, index) => {
    if (argument instanceof Slot) flags |= STEP_FLAG.indirect << index;
    const value = argument instanceof Slot ? argument.address : argument;
    view.setBigUint64(STEP.arguments + 8 * index, value, LITTLE_ENDIAN); // which takes it modulo 2 ** 64
  });
  view.setBigInt64(STEP.number, BigInt(number), LITTLE_ENDIAN);
  view.setBigUint64(STEP.flags, BigInt(flags), LITTLE_ENDIAN);
  if (ignore !== "all") ignore.forEach((name, index) => view.setUint8(STEP.ignore + index, ERRNO[name]));
  view.setBigUint64(STEP.result, result?.address ?? 0n, LITTLE_ENDIAN);
  view.setUint32(STEP.skipIfIgnored, skipIfIgnored, LITTLE_ENDIAN);
  view.setUint32(STEP.skipIfDone, skipIfDone, LITTLE_ENDIAN);
}
