/**
 * Copies a process's streams between the agent and the host.
 *
 * Each direction has one call in flight: the next output is asked for when the last is written, and the next input is
 * read when the agent took the last; so a slow end slows the other one, and nothing piles up here. An end on the host is
 * closed when nothing more will pass it.
 *
 * @module
 */
import { errorCode, type KataErrorCode } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import type { AgentConnection } from "../agent/client.ts";
import type { InputStream, OutputStream, Stdio } from "./stdio.ts";

/** Bytes per call: large, because a call costs an emulated guest more than the bytes do; far below ttRPC's 4 MiB. */
const CHUNK_BYTES = 256 * 1024;

/** The process is gone, its input is closed, or the agent is gone. */
const USUAL_ENDS: ReadonlySet<KataErrorCode | undefined> = new Set(["NOT_FOUND", "FAILED_PRECONDITION", "UNAVAILABLE"]);

export interface StreamsOptions {
  containerId: string;
  /** Empty for the container's first process. */
  execId: string;
  /** The process has a terminal, thus no stderr. */
  terminal: boolean;
  /** Disposed with the streams. */
  stdio: Stdio;
  agent: Pick<AgentConnection, "streams">;
  log: Logger;
}

/** Disposing them stops the copying, whatever is left, and closes the host's ends. */
export class ProcessStreams implements AsyncDisposable {
  readonly #options: StreamsOptions;
  readonly #abort = new AbortController();
  readonly #noInput = new AbortController();
  #output: Promise<void> | undefined;
  #input: Promise<void> | undefined;

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  /** Begins to copy; call it when the agent knows the process. Calling it again changes nothing. */
  open(): void {
    if (this.#output !== undefined) return;
    const { agent, stdio, terminal, containerId, execId } = this.#options;
    const id = { containerId, execId };
    const options = { length: CHUNK_BYTES, signal: this.#abort.signal };
    const read = (from: "stdout" | "stderr") => agent.streams.read(id, { from, ...options });
    const copies = [this.#copyOutput("stdout", read)];
    if (!terminal) copies.push(this.#copyOutput("stderr", read));
    this.#output = Promise.all(copies).then(() => {});
    this.#input = this.#copyInput(stdio.stdin);
  }

  /** Resolves when all output is written, or no more can come. */
  async drained(): Promise<void> {
    await this.#output;
  }

  /** Ends the input after what is on its way. */
  finishInput(): void {
    this.#options.stdio.stdin?.finish();
  }

  /** Closes the input, whatever is on its way: a client that still writes would wait for a reader that reads no more. */
  async endInput(): Promise<void> {
    this.#noInput.abort();
    await this.#input;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    this.#noInput.abort();
    await Promise.all([this.#output, this.#input]);
    await this.#options.stdio[Symbol.asyncDispose]();
  }

  /** A stream that nobody wants is read all the same, or the process would block on a full pipe. */
  async #copyOutput<N extends "stdout" | "stderr">(name: N, read: (from: N) => Promise<Uint8Array>): Promise<void> {
    using output: OutputStream | undefined = this.#options.stdio[name];
    const { signal } = this.#abort;
    try {
      for (;;) {
        const data = await read(name);
        if (data.length === 0) return;
        await output?.write(data, { signal });
      }
    } catch (error) {
      if (!signal.aborted) this.#note(`Cannot copy ${name} any further`, error);
    }
  }

  async #copyInput(stdin: InputStream | undefined): Promise<void> {
    const { agent, containerId, execId, terminal } = this.#options;
    const { signal } = this.#noInput;
    using input = stdin;
    try {
      if (input !== undefined) await this.#writeAll(input);
      // The terminal of a process without input stays open: closing it would hang up the process.
      else if (terminal) return;
      await agent.streams.finish({ containerId, execId }, { signal });
    } catch (error) {
      if (!signal.aborted) this.#note("Cannot copy stdin any further", error);
    }
  }

  async #writeAll(input: InputStream): Promise<void> {
    const { agent, containerId, execId } = this.#options;
    const { signal } = this.#noInput;
    const buffer = new Uint8Array(CHUNK_BYTES);
    for (;;) {
      const length = await input.read(buffer, { signal });
      if (length === 0) return;
      // Kata's agent answers with what it took, which may be less.
      for (let at = 0; at < length;) {
        const data = buffer.subarray(at, length);
        const taken = await agent.streams.write({ containerId, execId }, data, { signal });
        if (taken === 0) return;
        at += taken;
      }
    }
  }

  /**
   * A process that has ended takes no more input, and its streams are gone: that is how copying usually ends. If the agent
   * is gone, the sandbox tells of that.
   */
  #note(message: string, error: unknown): void {
    const { containerId: container, execId: exec, log } = this.#options;
    log[USUAL_ENDS.has(errorCode(error)) ? "debug" : "warning"](message, { container, exec, error });
  }
}
