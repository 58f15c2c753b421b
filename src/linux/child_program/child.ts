/**
 * Children and their ends. Every process that we start is one of these, and is reaped here and nowhere else.
 *
 * @module
 */
import { abortable } from "../../base/async.ts";
import { systemClock } from "../../base/clock.ts";
import { ERRNO, ErrnoError } from "../ffi/errno.ts";
import type { Fd } from "../io/fd.ts";
import { receiveReport } from "./apart.ts";
import { END_MS, LONGEST_PAUSE_MS, standUntil, staysThere } from "./end.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { HEADER } from "./machine_code.ts";
import { openPidfd, sendSignal } from "../process/pidfd.ts";
import { readable } from "../io/poll.ts";
import type { ProgramMemory } from "./memory.ts";
import { type SignalName, signalName, SIGNALS } from "../process/signal.ts";
import { type Ended, type ExitStatus, P_PID, P_PIDFD, peekEnded, waitFor, WEXITED, WNOHANG } from "../process/wait.ts";
import type { Slot, StepList } from "./call.ts";

/** Memory and pipes of ours that a child uses until it executes. */
export interface RunningProgram {
  readonly memory: ProgramMemory;
  readonly header: DataView<ArrayBuffer>;
  readonly steps: StepList;
  /** Header of the steps in the child's own memory, sent over `executed`. `header` is that of the steps before it. */
  readonly apart?: DataView<ArrayBuffer> | undefined;
  /** Ends when the child executes or exits; none after vfork, when that has happened already. */
  readonly executed: Fd | undefined;
  /** Slot for the pid of the process that takes the child's place: see `forkStage2`. */
  readonly stage2?: Slot | undefined;
  /** Slot for the pid of a process that takes the child's place before the child executes. */
  readonly replacement?: Slot | undefined;
}

/** Children that were not reaped yet, by pid. */
const children = new Map<number, Child>();

/** Children whose stage-2 child is not in `children` yet, though it may have ended already. */
const expecting = new Set<Child>();

interface ChildParts {
  pid: number;
  pidfd: Fd;
  program?: RunningProgram;
  /** How long its end may take once it was killed. */
  endMs?: number;
}

/** A process of ours. Its owner awaits its end, or disposes it, which kills it. */
export class Child implements AsyncDisposable {
  readonly pid: number;
  readonly #pidfd: Fd;
  readonly #ended = Promise.withResolvers<ExitStatus>();
  readonly #stopWatching = new AbortController();
  #program: RunningProgram | undefined;
  #failure: Error | undefined;
  #executed: Promise<void> | undefined;
  #watching: Promise<void> | undefined;
  #status: ExitStatus | undefined;
  #stage2 = 0;
  #adopted: Child | undefined;
  readonly #endMs: number;

  constructor({ pid, pidfd, program, endMs = END_MS }: ChildParts) {
    this.#endMs = endMs;
    this.pid = pid;
    this.#pidfd = pidfd;
    this.#program = program;
    children.set(pid, this);
    if (program?.stage2 !== undefined || program?.replacement !== undefined) expecting.add(this);
    if (program !== undefined && program.executed === undefined) this.#leaveProgram();
  }

  /** Polls readable when the process has ended. It belongs to the child, which closes it once reaped. */
  get pidfd(): Fd {
    return this.#pidfd;
  }

  /** Why the child never executed, an {@linkcode ErrnoError} that names the step; known once it has executed or ended. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** undefined while it runs, or is not reaped yet. */
  get status(): ExitStatus | undefined {
    return this.#status;
  }

  /**
   * Waits for the child's execve, or for its end before.
   *
   * @param options `until` waits for a descriptor, for as long as it likes; its error ends the wait.
   * @throws The {@linkcode failure}. A child that was killed before has none: its end tells.
   */
  async executed({ until = readable }: { until?: (end: Fd) => Promise<void> } = {}): Promise<void> {
    await (this.#executed ??= this.#awaitExecution(until));
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Reaps the child and gives the process that took its place, which is our child too. To be asked after
   * {@linkcode executed}.
   */
  inherit(): Child {
    this.waitSync();
    expecting.delete(this);
    return this.#adopt(this.#stage2);
  }

  /**
   * Reaps the child, which is at its end, and gives the process that goes on with its steps. To be asked once that has
   * made itself known, before {@linkcode executed}: see `forkStage2`.
   */
  succeed(): Child {
    this.waitSync();
    expecting.delete(this);
    return this.#adopted ?? this.#adopt(this.#program!.replacement!.value);
  }

  /** The stage-2 child of one of our children, if this is its pid: it is to be reaped as a child. */
  static findStage2(pid: number): Child | undefined {
    for (const child of expecting) {
      const { stage2, replacement } = child.#program ?? {};
      if ((stage2 ?? replacement)?.value === pid || child.#stage2 === pid) return child.#adopt(pid);
    }
    return undefined;
  }

  #adopt(pid: number): Child {
    if (this.#adopted !== undefined) return this.#adopted;
    const pidfd = openPidfd(pid);
    const endMs = this.#endMs;
    if (this.#program?.replacement === undefined) return this.#adopted = new Child({ pid, pidfd, endMs });
    const { replacement: _, ...program } = this.#program;
    // The steps are the stage-2 child's from now on.
    this.#program = undefined;
    return this.#adopted = new Child({ pid, pidfd, program, endMs });
  }

  /** Waits for the end, and reaps the process. Any number of callers may wait. */
  wait({ signal }: { signal?: AbortSignal } = {}): Promise<ExitStatus> {
    if (this.#status === undefined) this.#watching ??= this.#watch();
    return signal === undefined ? this.#ended.promise : abortable(this.#ended.promise, signal);
  }

  /**
   * Waits with the whole thread standing still: for a child that is known to be at its end.
   *
   * @throws {Error} Something keeps it from its end.
   */
  waitSync(): ExitStatus {
    if (this.#status === undefined) standUntil(() => this.reapIfEnded(), this.#pidfd, this.#endMs);
    if (this.#status === undefined) throw staysThere(this.pid, "did not end, as it was to");
    return this.#status;
  }

  /**
   * Sends a signal; never to another process that got the same pid.
   *
   * @throws {ErrnoError} ESRCH once the process was reaped.
   */
  kill(signal: SignalName | number = "SIGTERM"): void {
    const number = typeof signal === "number" ? signal : SIGNALS[signal];
    if (this.#status === undefined && sendSignal(this.#pidfd, number)) return;
    throw new ErrnoError("kill", ERRNO.ESRCH, `${signalName(number)} to ${this.pid}`);
  }

  /** Reaps the process if it has ended. @returns Whether it has. */
  reapIfEnded(): boolean {
    return this.#status !== undefined || this.#reap(WEXITED | WNOHANG);
  }

  /** Kills the process if it still runs, and reaps it. @throws {Error} Something keeps it from its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    using undo = new DisposableStack();
    undo.defer(() => this.#adopted === undefined && killAndReap(this.#stage2));
    undo.defer(() => this.#leaveProgram());
    undo.defer(() => void expecting.delete(this));
    if (!this.reapIfEnded()) {
      this.kill("SIGKILL");
      await this.#awaitEnd();
    }
    await this.#watching; // a reap elsewhere has only asked the thread that watches to stop
  }

  async #awaitEnd(): Promise<void> {
    const late = AbortSignal.timeout(this.#endMs);
    try {
      await this.wait({ signal: late });
    } catch (error) {
      throw error === late.reason ? staysThere(this.pid, "was killed, and does not end") : error;
    }
  }

  #reap(options: number): boolean {
    const status = waitFor({ idtype: P_PIDFD, id: this.#pidfd.number }, options)?.status;
    if (status === undefined) return false;
    this.#status = status;
    children.delete(this.pid);
    // Steps are left to a stage-2 child, whose execve is still to come: the reaper of all orphans may be first here.
    if (this.#program?.stage2 === undefined && this.#program?.replacement === undefined) this.#leaveProgram();
    if (this.#watching === undefined) this.#pidfd[Symbol.dispose]();
    else this.#stopWatching.abort();
    this.#ended.resolve(status);
    return true;
  }

  async #watch(): Promise<void> {
    try {
      const { signal } = this.#stopWatching;
      for (let pauseMs = 1; !this.reapIfEnded(); pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
        await readable(this.#pidfd, { signal });
        // As long as who traces it has not let go of it, it is not ours to reap, though it has ended.
        if (!this.reapIfEnded()) await systemClock.sleep(pauseMs, signal);
      }
    } catch (error) {
      if (this.#status === undefined) this.#ended.reject(error);
    } finally {
      this.#pidfd[Symbol.dispose]();
    }
  }

  async #awaitExecution(until: (end: Fd) => Promise<void>): Promise<void> {
    using end = this.#program?.executed;
    if (end === undefined) return;
    await until(end);
    this.#leaveProgram();
  }

  /** Learns how the steps ended and frees their memory, which the child has left by now. */
  #leaveProgram(): void {
    const program = this.#program;
    if (program === undefined) return;
    const { memory, header, steps, apart, executed, stage2, replacement } = program;
    if (replacement !== undefined) killAndReap(replacement.value);
    if (apart !== undefined && executed?.isOpen) receiveReport(executed, apart);
    // Set still if a step closed the pipe that tells: better a leak than a child in memory that is gone.
    if (header.getUint32(HEADER.alive, LITTLE_ENDIAN) !== 0) {
      throw new Error(`Cannot tell whether process ${this.pid} executed: one of its steps closed our pipe`);
    }
    const failed = apart?.getBigUint64(HEADER.failed, LITTLE_ENDIAN) ? apart : header;
    const step = steps.at(Number(failed.getBigUint64(HEADER.failed, LITTLE_ENDIAN)));
    if (step !== undefined) {
      const failure = new ErrnoError(step.label, Number(failed.getBigInt64(HEADER.errno, LITTLE_ENDIAN)));
      this.#failure = step.options.explain?.(failure) ?? failure;
    }
    this.#stage2 = stage2?.value ?? 0;
    this.#program = undefined;
    if (this.#executed === undefined) executed?.[Symbol.dispose](); // else who waits for it closes it
    memory[Symbol.dispose]();
  }
}

/** How long all stands still for the end of a process. */
const STANDSTILL_MS = 1_000;

/** Ends a stage-2 child that never took over, before its memory goes. Only we reap it, so the pid is not reused. */
function killAndReap(pid: number): void {
  if (pid === 0) return;
  const child = new Child({ pid, pidfd: openPidfd(pid) });
  child.kill("SIGKILL");
  standUntil(() => child.reapIfEnded(), child.pidfd, STANDSTILL_MS);
  // One that is kept from its end is reaped when that comes.
  if (child.status === undefined) child.wait().catch(() => {});
}

/**
 * Reaps every process that has ended: our children, whose waiters learn of it, and the orphans that a subreaper or
 * PID 1 is given. To be called on SIGCHLD.
 *
 * @returns The orphans.
 */
export function reapChildren(): Ended[] {
  const orphans: Ended[] = [];
  for (;;) {
    const ended = peekEnded();
    if (ended === undefined) return orphans;
    const child = children.get(ended.pid) ?? Child.findStage2(ended.pid);
    if (child !== undefined) child.reapIfEnded();
    else orphans.push(waitFor({ idtype: P_PID, id: ended.pid }, WEXITED) ?? ended);
  }
}
