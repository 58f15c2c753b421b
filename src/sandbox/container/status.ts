/** The states of a process, the ways between them, and the exit statuses that it did not choose. @module */
import { KataError } from "../../base/error.ts";

/** Exit status of a process whose end nobody saw, because the VM died or its agent told of none that there is. */
export const LOST_STATUS = 255;
/** Exit status of a process that is killed because its container, sandbox or shim goes: 128 + SIGKILL. */
export const KILLED_STATUS = 137;

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
