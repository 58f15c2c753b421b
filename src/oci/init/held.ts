/**
 * Waiting for a process that others can hold: who may trace in its pid namespace, or is root there, stops it, or keeps a copy
 * of its end of a pipe.
 *
 * @module
 */
import { KataError } from "../../base/error.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { readable, readableFor } from "../../linux/io/poll.ts";
import { childrenOf, describeProcess } from "../../linux/process/held.ts";

/** How long a command waits for a step of a process that others can hold. */
export interface Patience {
  /** Far more than a step takes, on a busy machine too. */
  ms: number;
  /** How long its end may take once it was killed. Default: 10,000. */
  endMs?: number;
  /** Ends it before. */
  signal?: AbortSignal;
}

const PATIENCE: Patience = { ms: 30_000 };

/** Waits until something can be read. @param what The process shall do, for the message: `say "created"`. */
export type Await = (fd: Fd, what: string) => Promise<void>;

/** Waits as long as it takes. */
export function waitFor(fd: Fd): Promise<void> {
  return readable(fd);
}

export interface Waiting {
  patience: Patience | undefined;
  /** Task that cannot be done else, with its object: `exec in container "c1"`. */
  task: string;
  /** The processes it may hang on; what is 0 is none. */
  pids: () => readonly number[];
  /** Whether a command of ours has frozen them, by which they take as long as its user likes. */
  isPaused: () => boolean;
}

/** @returns What throws DEADLINE_EXCEEDED, with what is to be seen of the processes, once patience is at its end. */
export function waitPatiently({ patience = PATIENCE, task, pids, isPaused }: Waiting): Await {
  const { ms, signal } = patience;
  const options = signal === undefined ? {} : { signal };
  return async (fd, what) => {
    while (!(await readableFor(fd, ms, options))) {
      if (isPaused() && !signal?.aborted) continue;
      const all = pids().filter((pid) => pid !== 0).flatMap((pid) => [pid, ...childrenOf(pid)]);
      const seen = [...new Set(all)].map(describeProcess).join(", ");
      const waited = `its process was to ${what}, and did not within ${ms / 1000} s`;
      throw new KataError("DEADLINE_EXCEEDED", `Cannot ${task}: ${waited}; seen: ${seen}`);
    }
  };
}
