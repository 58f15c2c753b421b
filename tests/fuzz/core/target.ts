/** Targets of the fuzzer. @module */
import type { Random } from "./random.ts";

/** Where a target may write: the machine looks after `outside`, which no input may change. */
export interface Scratch {
  /** An empty directory of the run's own. */
  inside: string;
  /** A tree with files, links and modes. A changed one is a finding. */
  outside: string;
}

/** One thing that takes what others wrote. Inputs are data (see `encode.ts`), so that a found one can be kept as a file. */
export interface Target<Input> {
  name: string;
  /** Inputs that CI tries: about a second's worth. */
  rounds: number;
  make(random: Random): Input;
  /**
   * Gives the input to the code. What it throws is a refusal, unless it is a {@linkcode Broken} or the mark of a
   * programming fault, see `faults.ts`.
   */
  run(input: Input, scratch: Scratch): unknown;
  /** How long one input may take, in milliseconds, on a machine that is busy with other things. Default: 30,000. */
  boundMs?: number;
  /** How much the process may hold beyond what it started with, in MiB. Default: 384. */
  memoryMiB?: number;
  /** Runs in namespaces of its own, see `box.ts`: its inputs mount, make containers, or name files to open. */
  isBoxed?: true;
  /** Why it cannot run here, such as a missing right. */
  missing?(): string | undefined;
}

// deno-lint-ignore no-explicit-any -- targets of all inputs stand in one list, and only their own `make` feeds their `run`
export type AnyTarget = Target<any>;

/** Keeps the type of the input between `make` and `run`. */
export function defineTarget<Input>(target: Target<Input>): Target<Input> {
  return target;
}

/** A rule of the target that did not hold: always a finding. */
export class Broken extends Error {
  override readonly name = "Broken";
}

/** @throws {Broken} If the rule does not hold. */
export function hold(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Broken(rule);
}
