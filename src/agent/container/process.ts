/** A process in a container, as the API names it: by container and exec id. @module */
import { abortable } from "../../base/async.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import { exitCode } from "../../linux/process/spawn.ts";
import type { ContainerProcess, Stdio } from "../../oci/container/container.ts";
import { effectiveInitSignal } from "./process_status.ts";
import { ProcessStdio } from "./stdio.ts";

/** The exec id of a container's first process. */
export const INIT_EXEC_ID = "";

/** One process with its streams. Disposing it closes the streams; it does not end the process. */
export class GuestProcess implements Disposable {
  #status: number | undefined;
  #wasWaitedFor = false;
  /** Signal for which SIGKILL was sent instead; the exit status then names the signal that was asked for. */
  #replacedSignal: number | undefined;
  /** Resolves when the process has ended, with its status: 128 + N after signal N (B1). */
  readonly exited: Promise<number>;

  /** @param streams Owned from now on. */
  constructor(
    readonly execId: string,
    readonly process: ContainerProcess,
    readonly streams: ProcessStdio,
  ) {
    this.exited = this.#watch();
  }

  /**
   * Starts a process with streams of its own.
   *
   * @param options `terminal`: the engine makes a terminal, and its master becomes the streams.
   * @param start Starts the process on the given descriptors, which stay the caller's.
   */
  static async start(
    execId: string,
    { terminal }: { terminal: boolean },
    start: (stdio: Stdio) => Promise<ContainerProcess>,
  ): Promise<GuestProcess> {
    if (terminal) {
      const process = await start({});
      if (process.console === undefined) throw new Error(`Cannot attach to process "${execId}": it has no terminal`);
      return new GuestProcess(execId, process, ProcessStdio.terminal(process.console));
    }
    using undo = new DisposableStack();
    const { streams, child } = ProcessStdio.pipes();
    undo.use(streams);
    using stdio = child;
    const process = await start(stdio);
    undo.move();
    return new GuestProcess(execId, process, streams);
  }

  async #watch(): Promise<number> {
    const end = await this.process.wait();
    const wasReplaced = "signal" in end && end.signal === SIGNALS.SIGKILL && this.#replacedSignal !== undefined;
    const status = exitCode(wasReplaced ? { signal: this.#replacedSignal! } : end);
    this.#status = status;
    this.streams.processExited();
    return status;
  }

  /** Whether the process needs no more calls: it ended, somebody knows its status, and its output has been read. */
  get isFinished(): boolean {
    return this.hasExited && this.#wasWaitedFor && this.streams.isDrained;
  }

  get hasExited(): boolean {
    return this.#status !== undefined;
  }

  /** Waits for the end. @returns As {@linkcode exited}. Any number of callers may wait. @throws The signal's reason. */
  async wait(signal: AbortSignal): Promise<number> {
    const status = await abortable(this.exited, signal);
    this.#wasWaitedFor = true;
    return status;
  }

  /** Sends a signal; nothing happens if the process has ended. */
  signal(signal: number): void {
    if (this.hasExited) return;
    const isInit = this.execId === INIT_EXEC_ID;
    const effective = isInit ? effectiveInitSignal(signal, this.#statusText()) : signal;
    if (effective !== signal) this.#replacedSignal = signal;
    this.process.kill(effective);
  }

  #statusText(): string {
    try {
      return Deno.readTextFileSync(`/proc/${this.process.pid}/status`);
    } catch {
      return ""; // it has just ended, so the signal is as good as any
    }
  }

  [Symbol.dispose](): void {
    this.streams[Symbol.dispose]();
  }
}
