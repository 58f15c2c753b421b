/**
 * The list of system calls that a child makes, with the two shapes that a list lacks: "unless this works" and "if this
 * works".
 *
 * @module
 */
import type { Argument, CallOptions, Slot } from "../../linux/child_program/call.ts";
import type { SyscallName } from "../../linux/child_program/syscall_numbers.ts";
import type { SyscallProgram } from "../../linux/child_program/program.ts";

/** A call as data. */
export interface Call {
  name: SyscallName;
  args: readonly Argument[];
  options?: CallOptions;
}

export class Steps {
  readonly program: SyscallProgram;

  constructor(program: SyscallProgram) {
    this.program = program;
  }

  call(name: SyscallName, args: readonly Argument[], options: CallOptions = {}): void {
    this.program.call(name, args, options);
  }

  /** As {@linkcode SyscallProgram.fail}. */
  fail(label: string, explain: () => Error): void {
    this.program.fail(label, explain);
  }

  slot(): Slot {
    return this.program.slot();
  }

  /** A call, and what is done instead if it fails with an errno that it ignores. */
  callOrElse({ name, args, options = {} }: Call, otherwise: () => void): void {
    const completed = { ...options, skipIfDone: 0 };
    this.call(name, args, completed);
    completed.skipIfDone = this.#countIn(otherwise);
  }

  /** A call, and what is done next only if it succeeds; an errno that it ignores leaves that out. */
  callThen({ name, args, options = {} }: Call, then: () => void): void {
    const completed = { ...options, skipIfIgnored: 0 };
    this.call(name, args, completed);
    completed.skipIfIgnored = this.#countIn(then);
  }

  /** Options are read when the program starts, so a number of steps may be filled in after they were added. */
  #countIn(add: () => void): number {
    const before = this.program.length;
    add();
    return this.program.length - before;
  }

  close(fd: Slot): void {
    this.call("close", [fd], { ignore: ["EBADF"] });
  }
}
