/**
 * A child that runs system calls before it runs a program: namespaces, mounts, ids, descriptors, then exec.
 *
 * V8's heap does not survive fork, so nothing of ours may run in the child. Its system calls are written down before,
 * as steps in memory of the program's own, and a routine of machine code walks them. The child shares our memory until
 * its execve (CLONE_VM), which makes a start cheap and lets us see which step failed; a child that is apart has a copy of its
 * steps, writes into memory of its own, and shares one page with us, where it tells the pid of what it forks.
 * Descriptors, signal handlers, working directory and ids are the child's own.
 *
 * ```ts ignore
 * const program = new SyscallProgram();
 * program.call("mount", ["proc", "/proc", "proc", 0, null], { label: "mount proc on /proc" });
 * program.execve(["/bin/sh"], { args: ["sh"], env: ["A=1"] });
 * await using child = program.start({ flags: ["newns", "newpid"] });
 * ```
 *
 * @module
 */
import { ApartChild, type ApartOptions } from "./apart.ts";
import type { Child } from "./child.ts";
import { startChild, type Started, type StartOptions } from "./start.ts";
import { ERRNO, ErrnoError } from "../ffi/errno.ts";
import { type Piece, ProgramMemory } from "./memory.ts";
import { type Argument, type CallOptions, Slot, type Step } from "./call.ts";
import { type SyscallName, syscallNumber } from "./syscall_numbers.ts";

export interface ExecveOptions {
  /** With the program's own name first. */
  args: readonly string[];
  /** `NAME=value` */
  env: readonly string[];
  /** Default: `execve`. */
  label?: string;
  /** Words the failure when no candidate could be run. */
  explain?: (failure: ErrnoError) => Error;
}

/** A call as data. */
export interface Call {
  name: SyscallName;
  args: readonly Argument[];
  options?: CallOptions;
}

/** Address space for the steps after {@linkcode SyscallProgram.begin}; pages are only taken when they are written. */
const MOST_LATER_STEPS = 1 << 15;

export interface ProgramOptions {
  /**
   * The child has memory of its own and only the descriptors that are named: for one that enters a container, whose
   * processes may have rights over it before its execve, and must not find us there. See `apart.ts`.
   */
  apart?: ApartOptions;
}

/** Errors for which execvp(3) goes on to the next directory of the PATH. */
const NOT_THIS_ONE = ["ENOENT", "EACCES", "ENOTDIR"] as const;

export class SyscallProgram implements Disposable {
  readonly #memory: ProgramMemory;
  readonly #apart: ApartChild | undefined;
  readonly #steps: Step[] = [];
  #isStarted = false;
  #started: Started | undefined;

  constructor({ apart }: ProgramOptions = {}) {
    using undo = new DisposableStack();
    this.#memory = undo.use(new ProgramMemory({ isApart: apart !== undefined }));
    this.#apart = apart && new ApartChild(this.#memory, apart);
    undo.move();
  }

  /** Number of the pipe by which a child that is apart tells a failure; open until the execve. */
  get reportNumber(): number {
    return this.#apart!.numbers.report;
  }

  /** Numbers of the descriptors that a child which is apart has of its own. */
  get ownNumbers(): number[] {
    return Object.values(this.#apart!.numbers);
  }

  /** A slot whose value we see, and that a stage-2 child of a child which is apart cannot write to. */
  toldSlot(): Slot {
    return new Slot(this.#memory.allocateTold());
  }

  /** @returns The address of a NUL-terminated copy. */
  string(text: string): number {
    return this.#memory.string(text);
  }

  /** @returns The address of a copy. */
  bytes(content: Uint8Array<ArrayBuffer>): number {
    return this.#memory.bytes(content);
  }

  /** @returns The address of a NULL-terminated array of addresses. */
  pointers(addresses: readonly number[]): number {
    return this.#memory.pointers(addresses);
  }

  /** Memory to fill by hand, such as a struct that holds slots. */
  allocate(size: number): Piece {
    return this.#memory.allocate(size);
  }

  /** @param within Memory of {@linkcode allocate} to lie in, for a result that is part of a struct; else its own. */
  slot(within?: { piece: Piece; offset: number }): Slot {
    if (within === undefined) return new Slot(this.#memory.allocate(8));
    const { piece: { address, view }, offset } = within;
    return new Slot({
      address: address + offset,
      view: new DataView(view.buffer, view.byteOffset + offset, 8),
    });
  }

  /** Adds a step. @throws {RangeError} More than six arguments or eight errnos. */
  call(name: SyscallName, args: readonly Argument[], options: CallOptions = {}): this {
    const ignored = options.ignore ?? [];
    if (args.length > 6 || (ignored !== "all" && ignored.length > 8)) {
      throw new RangeError(`Cannot add step "${options.label ?? name}": at most 6 arguments and 8 errnos`);
    }
    const label = options.label ?? labelOf(name, args);
    const encoded: (number | bigint | Slot)[] = [];
    for (const argument of args) encoded.push(this.#encode(argument));
    this.#steps.push({ number: syscallNumber(name), args: encoded, label, options });
    return this;
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

  /** Options are read when the steps are laid out, so a distance may be filled in after the steps were added. */
  #countIn(add: () => void): number {
    const before = this.#steps.length;
    add();
    return this.#steps.length - before;
  }

  /** Closes a descriptor that is there, or not any more. */
  close(fd: Slot): void {
    this.call("close", [fd], { ignore: ["EBADF"] });
  }

  /** A step that never succeeds, to end a series of attempts. `explain` says with what. */
  fail(label: string, explain: (failure: ErrnoError) => Error): this {
    const noSuchCall = -1;
    this.#steps.push({ number: noSuchCall, args: [], label, options: { explain } });
    return this;
  }

  /**
   * Becomes the first of `candidates` that the kernel will run, as execvp(3) goes through PATH. If there is none, the
   * error is EACCES if one was found that may not be run, else that of the last.
   */
  execve(candidates: readonly string[], { args, env, label = "execve", explain }: ExecveOptions): this {
    const argv = this.pointers(args.map((text) => this.string(text)));
    const envp = this.pointers(env.map((text) => this.string(text)));
    const explained = explain === undefined ? {} : { explain };
    const results = candidates.map((path) => {
      const result = this.#apart?.toldSlot() ?? this.slot();
      this.call("execve", [path, argv, envp], { label, result, ignore: NOT_THIS_ONE, ...explained });
      return result;
    });
    return this.fail(label, () => {
      const refused = results.some(({ value }) => value === -ERRNO.EACCES);
      const failure = new ErrnoError(label, refused ? ERRNO.EACCES : -(results.at(-1)?.value ?? -ERRNO.ENOENT));
      return explain?.(failure) ?? failure;
    });
  }

  /**
   * Starts the child. The program's memory is the child's from now on: it is freed when the child has executed or
   * ended, or by a failure here. A program starts once.
   *
   * With `vfork` the calling thread blocks until the child's execve or end, so `failure` is known on return.
   * Without it the child runs on beside us: see {@linkcode Child.executed}. Its steps must not touch descriptor numbers
   * from 1000 up.
   *
   * @throws {ErrnoError} clone3 was refused.
   */
  start(options: StartOptions = {}): Child {
    return this.#start(options, 0);
  }

  /**
   * As {@linkcode start}, with the steps so far, of which the last waits for somebody: steps that are added from now on
   * are the child's once {@linkcode complete} was called, and only then may it go on. So the child is at work while the
   * rest is written down.
   */
  begin(options: StartOptions = {}): Child {
    return this.#start(options, MOST_LATER_STEPS);
  }

  /** Gives the child the rest of its steps. @throws {RangeError} There are too many. */
  complete(): void {
    // Beyond the last step there is still room, which holds none.
    this.call("exit_group", [0]);
    this.#started!.steps.add(this.#steps.splice(0));
  }

  #start(options: StartOptions, room: number): Child {
    if (this.#isStarted) throw new Error("Cannot start a program of system calls twice");
    this.#isStarted = true;
    const steps = this.#steps.splice(0);
    this.#started = startChild(this.#memory, { steps, room, apart: this.#apart }, options);
    return this.#started.child;
  }

  /** Gives the memory back, if the program was not started after all. */
  [Symbol.dispose](): void {
    if (this.#isStarted) return;
    this.#apart?.[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }

  #encode(argument: Argument): number | bigint | Slot {
    if (typeof argument === "number") return argument;
    if (typeof argument === "string") return this.string(argument);
    if (argument instanceof Uint8Array) return this.bytes(argument);
    return argument ?? 0;
  }
}

/** The call and its first string. */
function labelOf(name: SyscallName, args: readonly Argument[]): string {
  const text = args.find((argument) => typeof argument === "string");
  return text === undefined ? name : `${name} ${text}`;
}
