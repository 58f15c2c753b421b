/** The states of a process and the ways between them. @module */
import { KataError } from "../base/error.ts";

export type Status = "created" | "running" | "paused" | "stopped";

const NEXT = {
  // A process may be killed before it ever ran.
  created: ["running", "stopped"],
  running: ["paused", "stopped"],
  paused: ["running", "stopped"],
  stopped: [],
} as const satisfies Record<Status, readonly Status[]>;

/**
 * @returns `to`.
 * @throws {KataError} FAILED_PRECONDITION naming `what` and both states.
 */
export function transition(what: string, from: Status, to: Status): Status {
  if ((NEXT[from] as readonly Status[]).includes(to)) return to;
  throw new KataError("FAILED_PRECONDITION", `Cannot bring ${what} from ${from} to ${to}`);
}
