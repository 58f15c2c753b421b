/**
 * A filter of system calls that a process has, and that does not hold for a while: for what the process must still do in
 * its own place after the filter is loaded, which takes rights that it must not have any more by then.
 *
 * ```text
 * guard                          process
 *   ptrace: seize, suspend         waits
 *   says so -------------------->  loads its filter; clone(CLONE_PTRACE), its end
 *   lets the child make one call   child: the calls that were told, of which the last waits
 *   after the other
 *   waits for the other's end
 *   waits for us, ends             the filter holds
 * ```
 *
 * Others see the child, and may write to its memory: so the guard looks at each call before it is made. Were it another,
 * the guard ends, and the filter holds before that call.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/ptrace.2.html} PTRACE_O_SUSPEND_SECCOMP
 * @module
 */
import type { Child } from "../child_program/child.ts";
import type { ErrnoError } from "../ffi/errno.ts";
import { type Pipe, pipe } from "../io/fd.ts";
import { readable } from "../io/poll.ts";
import type { Slot } from "../child_program/call.ts";
import { awaitByte, dieWithParent, report } from "../child_program/calls.ts";
import { SyscallProgram } from "../child_program/program.ts";
import { type SyscallName, syscallNumber } from "../child_program/syscall_numbers.ts";

const PTRACE_SEIZE = 0x4206;
const PTRACE_SYSCALL = 24;
const PTRACE_GET_SYSCALL_INFO = 0x420e;
const PTRACE_O_SUSPEND_SECCOMP = 1 << 21;
/** Without it a stop at a call is not told from others. */
const PTRACE_O_TRACESYSGOOD = 1;
const [P_ALL, P_PID] = [0, 1];
const [WSTOPPED, WEXITED, WALL] = [2, 4, 0x40000000];
const SIGINFO_BYTES = 128;
/** In siginfo_t; of four bytes, and ptrace(2) takes no more of a pid. */
const SI_PID = 16;

/** Call that the child makes while its filter is suspended; of an undefined argument any value will do. */
export interface ToldCall {
  name: SyscallName;
  args?: readonly (number | undefined)[];
}

export interface SuspendOptions {
  /** Calls of the child, in order. The last waits until the suspension is over. */
  calls: readonly ToldCall[];
  /** Words the failure to suspend it. */
  explain: (failure: ErrnoError) => Error;
  /** Words that the child was to make another call. */
  explainOther: (failure: ErrnoError) => Error;
}

/** Filters of one process and of the child that it forks. Disposing it ends the suspension, whatever the two do. */
export class SuspendedFilter implements AsyncDisposable {
  readonly #guard: Child;
  readonly #end: Pipe;

  /** Use {@linkcode SuspendedFilter.of}. */
  constructor(guard: Child, end: Pipe) {
    this.#guard = guard;
    this.#end = end;
  }

  /**
   * Suspends all filters that the process has now, or loads meanwhile. The process forks one child, with
   * `CLONE_PTRACE`, and ends.
   *
   * @throws EPERM: not root of the machine, or under a filter ourselves. EINVAL: a kernel without CHECKPOINT_RESTORE.
   */
  static async of(pid: number, { calls, explain, explainOther }: SuspendOptions): Promise<SuspendedFilter> {
    await using undo = new AsyncDisposableStack();
    using ready = pipe();
    const end = undo.use(pipe());
    using program = new SyscallProgram();
    dieWithParent(program);
    const options = PTRACE_O_SUSPEND_SECCOMP | PTRACE_O_TRACESYSGOOD;
    program.call("ptrace", [PTRACE_SEIZE, pid, 0, options], { label: "suspend filter", explain });
    report(program, ready.write.number, { message: "s" });
    const info = program.allocate(SIGINFO_BYTES);
    const child = program.slot({ piece: info, offset: SI_PID });
    program.call("waitid", [P_ALL, 0, info.address, WSTOPPED | WALL, null], { label: "wait for a child" });
    watchCalls(program, child, { calls, explain: explainOther });
    program.call("waitid", [P_PID, pid, info.address, WEXITED | WALL, null], { label: "wait for its parent's end" });
    awaitByte(program, end.read.number, { label: "wait for the end" });
    const guard = undo.use(program.start());
    ready.write[Symbol.dispose]();
    await readable(ready.read);
    if (ready.read.read(new Uint8Array(1)) === 0) await guard.executed();
    undo.move();
    return new SuspendedFilter(guard, end);
  }

  /** From here on the filter holds for the child; its parent has ended. @throws What `explainOther` says. */
  async end(): Promise<void> {
    this.#end.write.write(new Uint8Array(1));
    await this.#guard.executed();
    await this.#guard.wait();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end[Symbol.dispose]();
    await this.#guard[Symbol.asyncDispose]();
  }
}

/** Offsets in struct ptrace_syscall_info, at the entry of a call. */
const SYSCALL_INFO = { op: 0, architecture: 4, number: 24, args: 32, size: 88 } as const;
const ENTRY = 1;
const AUDIT_ARCH = { x86_64: 0xc000_003e, aarch64: 0xc000_00b7 } as const;

/** Lets a child that has stopped make these calls, of which it enters the last. */
function watchCalls(
  program: SyscallProgram,
  child: Slot,
  { calls, explain }: { calls: readonly ToldCall[]; explain: (failure: ErrnoError) => Error },
): void {
  const label = "watch a child";
  const info = program.allocate(SYSCALL_INFO.size);
  const goOn = () => program.call("ptrace", [PTRACE_SYSCALL, child, 0, 0], { label });
  const toNextStop = () => {
    goOn();
    program.call("waitid", [P_PID, child, null, WSTOPPED | WALL, null], { label });
  };
  for (const [index, { name, args = [] }] of calls.entries()) {
    if (index > 0) toNextStop(); // the end of the call before
    toNextStop();
    program.call("ptrace", [PTRACE_GET_SYSCALL_INFO, child, SYSCALL_INFO.size, info.address], { label });
    const expect = (offset: number, value: number) => expectWord(program, info.address + offset, { value, explain });
    expect(SYSCALL_INFO.op, ENTRY);
    expect(SYSCALL_INFO.architecture, AUDIT_ARCH[Deno.build.arch]);
    expect(SYSCALL_INFO.number, syscallNumber(name));
    args.forEach((value, position) => value !== undefined && expect(SYSCALL_INFO.args + 8 * position, value));
  }
  // If anything wakes it before the end, it stops after this call.
  goOn();
}

/** Fails unless four bytes are so: futex(2) compares before it waits, which here is for no time at all. */
function expectWord(
  program: SyscallProgram,
  address: number,
  { value, explain }: { value: number; explain: (failure: ErrnoError) => Error },
): void {
  const FUTEX_WAIT_PRIVATE = 128;
  const noTime = new Uint8Array(16);
  const options = { label: "compare a call", ignore: ["ETIMEDOUT"], explain } as const;
  program.call("futex", [address, FUTEX_WAIT_PRIVATE, value, noTime], options);
}
