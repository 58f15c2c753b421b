/** One process in a container: the container's first one, or one that was added by exec. @module */
import { abortable } from "../../base/async.ts";
import { errorCode, KataError } from "../../base/error.ts";
import type { AgentConnection } from "../agent/client.ts";
import type { WindowSize } from "../agent/processes.ts";
import { LOST_STATUS, type Status, transition } from "./status.ts";
import type { StdioNames } from "./stdio.ts";
import { ProcessStreams, type StreamsOptions } from "./streams.ts";

/** How long output that nobody takes holds up the news of an exit. */
const DRAIN_MS = 5_000;

/** Within this time a sandbox notices that it is lost, unless it hangs. */
const LOSS_MS = 3_000;

const SIGKILL = 9;
const SIGTERM = 15;

/** End of a process. `status` is the exit code, or 128 + N after signal N (B1). */
export interface ProcessExit {
  status: number;
  at: Date;
}

export interface ProcessOptions extends StreamsOptions {
  agent: Pick<AgentConnection, "processes" | "streams">;
  /** The call that makes it run. */
  launch: () => Promise<unknown>;
}

/** Disposing it lets go of its streams; the process itself ends with its container. */
export class Process implements AsyncDisposable {
  /** Resolves at its end, however it comes about, when its output is written; never rejects. */
  readonly exited: Promise<ProcessExit>;
  readonly #options: ProcessOptions;
  readonly #streams: ProcessStreams;
  readonly #resolveExit: (exit: ProcessExit) => void;
  #status: Status = "created";
  #exit: ProcessExit | undefined;
  #started = false;
  #waiting: Promise<void> | undefined;
  #windowSize: WindowSize | undefined;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.#streams = new ProcessStreams(options);
    ({ promise: this.exited, resolve: this.#resolveExit } = Promise.withResolvers<ProcessExit>());
  }

  get containerId(): string {
    return this.#options.containerId;
  }

  /** Empty for the container's first process. */
  get execId(): string {
    return this.#options.execId;
  }

  get names(): StdioNames {
    return this.#options.stdio.names;
  }

  get terminal(): boolean {
    return this.#options.terminal;
  }

  get status(): Status {
    return this.#status;
  }

  /** Whether its start was asked for; it may still be on its way. */
  get started(): boolean {
    return this.#started;
  }

  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  /** @throws {KataError} FAILED_PRECONDITION if it was started before, or has ended. */
  async start(): Promise<void> {
    if (this.#started || this.#status !== "created") {
      throw new KataError("FAILED_PRECONDITION", `Cannot start ${this.#name()}: it was started before`);
    }
    this.#started = true;
    const launched = this.#options.launch();
    // The agent knows a container's first process since its creation: asking now saves the first output a round trip.
    if (this.#knownToAgent()) this.#follow();
    try {
      await launched;
    } catch (error) {
      await this.#endUnlaunched();
      throw error;
    }
    if (this.#status === "created") this.#status = transition(this.#name(), "created", "running");
    this.#follow();
    if (this.#windowSize !== undefined) await this.resize(this.#windowSize);
  }

  /**
   * Sends a signal by number. SIGKILL and SIGTERM to a process that has ended are no error (B38).
   *
   * @throws {KataError} FAILED_PRECONDITION for an exec that was not started; NOT_FOUND after its end.
   */
  async signal(signal: number): Promise<void> {
    if (this.#status === "stopped") return this.#signalEnded(signal);
    if (!this.#started && !this.#knownToAgent()) {
      throw new KataError("FAILED_PRECONDITION", `Cannot signal ${this.#name()}: it does not run yet`);
    }
    // A container that is killed before its start ends as well.
    this.#waiting ??= this.#wait();
    const { agent, containerId, execId } = this.#options;
    try {
      await agent.processes.signal({ containerId, execId }, signal);
    } catch (error) {
      // The process ended meanwhile: by itself, or with a VM that hung until the signal could not be answered any more.
      if (errorCode(error) !== "NOT_FOUND" && this.#exit === undefined) throw error;
      this.#signalEnded(signal);
    }
  }

  /** Before the start it is remembered. */
  async resize(size: WindowSize): Promise<void> {
    this.#windowSize = size;
    if (this.#status !== "running" && this.#status !== "paused") return;
    const { agent, containerId, execId } = this.#options;
    await agent.processes.resize({ containerId, execId }, size);
  }

  /** Ends its input after what is still on its way (CloseIO). */
  finishInput(): void {
    this.#streams.finishInput();
  }

  /** Resolves when all its output is written, or no more can come. */
  async drained(): Promise<void> {
    await this.#streams.drained();
  }

  /** For the container, whose processes are frozen together. */
  setPaused(status: "paused" | "running"): void {
    this.#status = transition(this.#name(), this.#status, status);
  }

  /** Notes its end, now or at an earlier time; only the first call counts. For a VM that died. */
  end(status: number, at: Date = new Date()): void {
    if (this.#exit !== undefined) return;
    this.#status = transition(this.#name(), this.#status, "stopped");
    this.#exit = { status, at };
    this.#resolveExit(this.#exit);
  }

  /** Call it when the process has ended, or the connection to the agent: it waits for the pending calls. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#streams[Symbol.asyncDispose]();
    await this.#waiting;
  }

  /** Engines wait for the end of the streams, and of the process, before they tell what went wrong (containerd 1.6). */
  async #endUnlaunched(): Promise<void> {
    await this.#streams[Symbol.asyncDispose]();
    this.end(LOST_STATUS);
  }

  #follow(): void {
    this.#streams.open();
    this.#waiting ??= this.#wait();
  }

  async #wait(): Promise<void> {
    const { agent, containerId, execId, log } = this.#options;
    try {
      if (agent.processes.forgetsEnded) await this.drained();
      const status = await agent.processes.wait({ containerId, execId });
      const at = new Date();
      await this.#streams.endInput();
      await this.#drain();
      this.end(status, at);
    } catch (error) {
      if (errorCode(error) === "UNAVAILABLE") await this.#awaitLoss();
      if (this.#exit === undefined) {
        log.warning("Cannot wait for a process any longer", { container: containerId, exec: execId, error });
      }
      this.end(LOST_STATUS);
    }
  }

  /**
   * Clients close their end as soon as they hear of the exit (ctr 1.6), so what was written before it must come first.
   * A reader that takes nothing must not hide the exit for ever.
   */
  async #drain(): Promise<void> {
    await abortable(this.drained(), AbortSignal.timeout(DRAIN_MS)).catch(() => {});
  }

  /** Waits for the sandbox to end this process: without its agent a sandbox is lost, and ends its processes itself. */
  async #awaitLoss(): Promise<void> {
    await abortable(this.exited, AbortSignal.timeout(LOSS_MS)).catch(() => {});
  }

  #knownToAgent(): boolean {
    return this.#options.execId === "";
  }

  #signalEnded(signal: number): void {
    if (signal === SIGKILL || signal === SIGTERM) return;
    throw new KataError("NOT_FOUND", `Cannot send signal ${signal} to ${this.#name()}: it has ended`);
  }

  #name(): string {
    const { containerId, execId } = this.#options;
    return execId === "" ? `container "${containerId}"` : `exec "${execId}" in container "${containerId}"`;
  }
}
