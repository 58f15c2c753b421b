/**
 * A filter of system calls that a process has, and that does not hold for a while: for what the process must still do in
 * its own place after the filter is loaded, which takes rights that it must not have any more by then.
 *
 * ```text
 * guard                          process
 *   ptrace: seize, suspend         waits
 *   says so -------------------->  loads its filter; clone(CLONE_PTRACE), its end
 *   lets the child go on           child: waits
 *   waits for the other's end
 *   waits for us, ends             the filter holds
 * ```
 *
 * @see {@link https://man7.org/linux/man-pages/man2/ptrace.2.html} PTRACE_O_SUSPEND_SECCOMP
 * @module
 */
import type { Child } from "../child_program/child.ts";
import type { ErrnoError } from "../ffi/errno.ts";
import { type Pipe, pipe } from "../io/fd.ts";
import { readable } from "../io/poll.ts";
import { awaitByte, dieWithParent, report } from "../child_program/calls.ts";
import { SyscallProgram } from "../child_program/program.ts";

const PTRACE_SEIZE = 0x4206;
const PTRACE_CONT = 7;
const PTRACE_O_SUSPEND_SECCOMP = 1 << 21;
const [P_ALL, P_PID] = [0, 1];
const [WSTOPPED, WEXITED, WALL] = [2, 4, 0x40000000];
const SIGINFO_BYTES = 128;
/** In siginfo_t; of four bytes, and ptrace(2) takes no more of a pid. */
const SI_PID = 16;

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
   * @param explain Words the failure.
   * @throws EPERM: not root of the machine, or under a filter ourselves. EINVAL: a kernel without CHECKPOINT_RESTORE.
   */
  static async of(pid: number, { explain }: { explain: (failure: ErrnoError) => Error }): Promise<SuspendedFilter> {
    await using undo = new AsyncDisposableStack();
    using ready = pipe();
    const end = undo.use(pipe());
    using program = new SyscallProgram();
    dieWithParent(program);
    program.call("ptrace", [PTRACE_SEIZE, pid, 0, PTRACE_O_SUSPEND_SECCOMP], { label: "suspend filter", explain });
    report(program, ready.write.number, { message: "s" });
    const info = program.allocate(SIGINFO_BYTES);
    const child = program.slot({ piece: info, offset: SI_PID });
    const label = "let a child go on";
    program.call("waitid", [P_ALL, 0, info.address, WSTOPPED | WALL, null], { label });
    program.call("ptrace", [PTRACE_CONT, child, 0, 0], { label });
    program.call("waitid", [P_PID, pid, info.address, WEXITED | WALL, null], { label: "wait for its parent's end" });
    awaitByte(program, end.read.number, { label: "wait for the end" });
    const guard = undo.use(program.start());
    ready.write[Symbol.dispose]();
    await readable(ready.read);
    if (ready.read.read(new Uint8Array(1)) === 0) await guard.executed();
    undo.move();
    return new SuspendedFilter(guard, end);
  }

  /** From here on the filter holds for the child; its parent has ended. */
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
