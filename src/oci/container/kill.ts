/** Signals to a container: to its first process, or to all. @module */
import { isErrno } from "../../linux/ffi/errno.ts";
import { openPidfd, sendSignal } from "../../linux/process/pidfd.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import type { ContainerParts } from "./create_options.ts";
import { hasPidNamespace } from "./marks.ts";
import { endMembers, signalOwn } from "./members.ts";
import { livePid } from "./state.ts";
import { isFrozenForLong } from "./stillness.ts";

export interface KillOptions {
  /** All processes of the container (B7), not only the first one, which need not run any more. */
  all?: boolean;
}

/** Whether the first process has not ended. Asks the kernel. */
export function isAlive({ init, stored }: ContainerParts): boolean {
  return !init?.hasEnded && livePid(stored) !== 0;
}

/** Whether a command has paused it: that it may take as long as its user likes is no word of a container about itself. */
export function isPausedByUs({ directory, cgroup }: ContainerParts): boolean {
  return directory.isMarkedPaused() && cgroup.isFrozen();
}

/** @param signal By number. */
export async function killContainer(
  parts: ContainerParts,
  signal: number,
  { all }: Required<KillOptions>,
): Promise<void> {
  const { cgroup, stored: { spec } } = parts;
  const wasPaused = cgroup.version === 1 && isFrozenForLong(parts);
  // Without a pid namespace of its own, the kernel would leave the children of a killed first process alone (B7).
  const takesAll = all || !hasPidNamespace(spec);
  if (signal === SIGNALS.SIGKILL && takesAll) return await endMembers(parts);
  if (all) await signalOwn(parts, signal);
  else signalInit(parts, signal);
  // On v1, a frozen process would not even die.
  if (wasPaused && signal === SIGNALS.SIGKILL) await cgroup.thaw();
}

/** By descriptor, and only then a look whether it is ours: its pid may have passed to another process meanwhile. */
function signalInit(parts: ContainerParts, signal: number): void {
  try {
    using pidfd = openPidfd(parts.stored.pid);
    if (isAlive(parts)) sendSignal(pidfd, signal);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
}
