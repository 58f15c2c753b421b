/** A process in a container that this program started. @module */
import type { Child } from "../../linux/child_program/child.ts";
import type { ExitStatus } from "../../linux/process/wait.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { getOomScoreAdj, isAlive, readProcessStat, setOomScoreAdj } from "../../linux/process/process.ts";
import { END_MS, staysThere } from "../../linux/child_program/end.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import type { Logger } from "../../base/log.ts";
import type { Patience } from "../init/held.ts";

/** A process in a container, as {@linkcode Container.exec} and {@linkcode Container.init} return it. */
export class ContainerProcess {
  readonly #child: Child;
  /** The master of its terminal, if it has one. The caller disposes it. */
  readonly console: Fd | undefined;

  readonly #detached: boolean;

  /**
   * Takes over both.
   *
   * @param options `detached`: the process outlives us. Then we never reap it, as its next parent (a shim, conmon) is to
   *   learn its exit status, also if it ends before we do.
   */
  constructor(child: Child, console: Fd | undefined, { detached = false }: { detached?: boolean | undefined } = {}) {
    this.#child = child;
    this.console = console;
    this.#detached = detached;
    // Reaped at once, whether or not somebody asks: on v1 a cgroup keeps what is not, and cannot be removed.
    if (!detached) child.wait().catch(() => {});
  }

  /** As our pid namespace numbers it. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Polls readable when the process has ended. It belongs to this object, until the process is reaped. */
  get pidfd(): Fd {
    return this.#child.pidfd;
  }

  /** Whether it has ended; it is reaped by this, unless it is detached. */
  get hasEnded(): boolean {
    return this.#detached ? !isAlive(readProcessStat(this.pid)) : this.#child.reapIfEnded();
  }

  /** Resolves when the process has ended, as often as it is called. */
  wait(options: { signal?: AbortSignal } = {}): Promise<ExitStatus> {
    return this.#child.wait(options);
  }

  /** Waits until it runs its own program. @throws What kept it from that. */
  executed(options: { until?: (end: Fd) => Promise<void> } = {}): Promise<void> {
    return this.#child.executed(options);
  }

  /** Kills it, and waits for its end. @throws {Error} Something keeps it from that. */
  async end({ endMs = END_MS }: Pick<Patience, "endMs"> = {}): Promise<void> {
    this.kill(SIGNALS.SIGKILL);
    const late = AbortSignal.timeout(endMs);
    try {
      await this.wait({ signal: late });
    } catch (error) {
      throw error === late.reason ? staysThere(this.pid, "was killed, and does not end") : error;
    }
  }

  /** Sends a signal by number; nothing happens if the process has ended. */
  kill(signal: number): void {
    if (this.hasEnded) return;
    this.#child.kill(signal);
  }
}

/**
 * Sets how soon the kernel kills a process for want of memory.
 *
 * A value below our own takes CAP_SYS_RESOURCE; without it the container still runs, as rootless runtimes have it.
 */
export function applyOomScore(pid: number, value: number | undefined, log: Logger | undefined): void {
  if (value === undefined) return;
  try {
    if (getOomScoreAdj(pid) !== value) setOomScoreAdj(value, pid);
  } catch (error) {
    const hasEnded = error instanceof Deno.errors.NotFound || isErrno(error, "ESRCH");
    if (hasEnded) return;
    if (!(error instanceof Deno.errors.PermissionDenied) && !isErrno(error, "EACCES", "EPERM")) throw error;
    log?.warning("cannot lower oom_score_adj", { pid, value });
  }
}
