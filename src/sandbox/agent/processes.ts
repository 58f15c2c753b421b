/** Processes in the guest and their streams. @module */
import { processToProto } from "../../agent_api/spec_codec.ts";
import type { Process } from "../../oci/spec/spec.ts";
import type { AgentApi } from "./answers.ts";

export interface GuestProcess {
  containerId: string;
  /** Empty for the container's first process. */
  execId: string;
}

/** Size of a terminal in character cells. */
export interface WindowSize {
  columns: number;
  rows: number;
}

/** Calls about one process. They throw KataErrors only. */
export interface GuestProcesses {
  /** Whether output is lost once {@linkcode GuestProcesses.wait} has told of the end: then it must be read first. */
  readonly forgetsEnded: boolean;
  /** Adds a process to a container and runs it. @param process As the guest sees it. */
  exec(id: GuestProcess, process: Process): Promise<void>;
  signal(id: GuestProcess, signal: number): Promise<void>;
  /** Resolves at its end, with the exit code, or 128 + N after signal N. */
  wait(id: GuestProcess): Promise<number>;
  resize(id: GuestProcess, size: WindowSize): Promise<void>;
}

export interface StreamOptions {
  signal?: AbortSignal;
}

/** Calls about the streams of one process. They throw KataErrors only. */
export interface GuestStreams {
  /** Waits for output. @returns No more than `length` bytes; none at the stream's end. */
  read(id: GuestProcess, options: StreamOptions & { from: "stdout" | "stderr"; length: number }): Promise<Uint8Array>;
  /** Waits until the process takes some. @returns The number of bytes that were taken; 0 if it takes no more. */
  write(id: GuestProcess, data: Uint8Array, options?: StreamOptions): Promise<number>;
  /** Ends the input. */
  finish(id: GuestProcess, options?: StreamOptions): Promise<void>;
}

export function guestProcesses(api: AgentApi, { forgetsEnded }: Pick<GuestProcesses, "forgetsEnded">): GuestProcesses {
  return {
    forgetsEnded,
    exec: (id, process) => api.execProcess({ ...id, process: processToProto(process) }),
    signal: (id, signal) => api.signalProcess({ ...id, signal }),
    wait: async (id) => (await api.waitProcess(id)).status,
    resize: (id, { rows, columns }) => api.ttyWinResize({ ...id, row: rows, column: columns }),
  };
}

export function guestStreams(api: AgentApi): GuestStreams {
  return {
    async read(id, { from, length, ...options }) {
      const request = { ...id, len: length };
      return (await (from === "stdout" ? api.readStdout(request, options) : api.readStderr(request, options))).data;
    },
    write: async (id, data, options) => (await api.writeStdin({ ...id, data }, options)).len,
    finish: (id, options) => api.closeStdin(id, options),
  };
}
