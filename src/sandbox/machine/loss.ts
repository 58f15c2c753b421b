/** Telling that a machine has ended because its cgroup ran out of memory, which nothing else shows. @module */
import { errorCode, KataError } from "../../base/error.ts";
import type { HostCgroups } from "../../resources/cgroup.ts";

/** The groups that a machine is counted in, if it is in any. */
export type CountedIn = Pick<HostCgroups, "oomKills"> | undefined;

/**
 * Adds to the error of a step what its machine's groups tell.
 *
 * @returns The error itself if no process in them was killed.
 */
export function explainLoss(error: unknown, cgroups: CountedIn): unknown {
  const words = oomWords(cgroups);
  if (words === undefined) return error;
  return new KataError(errorCode(error) ?? "UNAVAILABLE", `The virtual machine has ended: ${words}`, { cause: error });
}

/** Words about a machine's end that its groups have; undefined if that was not for want of memory. */
export function oomWords(cgroups: CountedIn): string | undefined {
  const kills = cgroups?.oomKills() ?? 0n;
  if (kills === 0n) return undefined;
  const how = `memory of the pod's cgroup ran out, ${kills} of its processes were killed for that`;
  return `${how}; raise its limit, or the overhead of its RuntimeClass`;
}
