/** Killing all processes of a cgroup, and waiting for their end. @module */
import { systemClock } from "../../base/clock.ts";
import { cgroupMembers, type CgroupWait } from "./cgroup.ts";
import { hasCgroupFile, writeCgroupFileIfThere } from "./file.ts";
import { isErrno } from "../ffi/errno.ts";
import type { Fd } from "../io/fd.ts";
import { openPidfd, sendSignal } from "../process/pidfd.ts";
import { readable } from "../io/poll.ts";
import { SIGNALS } from "../process/signal.ts";

/**
 * Kills all processes of a cgroup and waits until they left it. A frozen v1 cgroup must be thawed by the caller.
 *
 * @throws {Error} Somebody is left after two seconds.
 */
export async function killCgroup(path: string, { signal, clock = systemClock }: CgroupWait = {}): Promise<void> {
  let hasKillFile: boolean | undefined;
  for (let attempt = 0; attempt < 200; attempt++) {
    const left = cgroupMembers(path, { recursive: true });
    if (left.length === 0) return;
    hasKillFile ??= hasCgroupFile(path, "cgroup.kill");
    using first = attempt === 0 ? pidfdOf(left[0]!) : undefined;
    // The loop catches what was forked between reading the list and the signal; cgroup.kill has no such gap.
    if (hasKillFile) writeCgroupFileIfThere(path, "cgroup.kill", 1);
    else signalMembers(() => cgroupMembers(path, { recursive: true }), { signal: SIGNALS.SIGKILL });
    if (first !== undefined) await awaitEnd(first, signal);
    else await clock.sleep(attempt < 10 ? 1 : 10, signal);
  }
  throw new Error(`Cannot empty cgroup "${path}": processes ${cgroupMembers(path, { recursive: true })} stay`);
}

/** Descriptors open at a time: far fewer than any limit lets a process have. */
const BATCH = 128;

export interface MemberSignal {
  /** By number. */
  signal: number;
  /** Whether a member is meant; all are without it. A function for each batch, which may keep what it learns. */
  chooser?: () => (pid: number) => boolean;
}

/**
 * Signals members of a cgroup. Each is opened first, and only then looked at: it may have ended since the list was read,
 * and its number may be that of somebody who is no member.
 *
 * @returns Who was signalled, and who had ended before it could be looked at.
 */
export function signalMembers(
  list: () => number[],
  { signal, chooser = () => () => true }: MemberSignal,
): { signalled: number[]; missed: number[] } {
  const all = list();
  const [signalled, missed]: [number[], number[]] = [[], []];
  for (let from = 0; from < all.length; from += BATCH) {
    using batch = new DisposableStack();
    const opened = all.slice(from, from + BATCH).map((pid) => ({ pid, pidfd: pidfdOf(pid) }));
    for (const { pidfd } of opened) batch.use(pidfd);
    const still = new Set(list());
    const isMeant = chooser();
    for (const { pid, pidfd } of opened) {
      if (pidfd === undefined || !still.has(pid)) missed.push(pid);
      else if (isMeant(pid)) {
        sendSignal(pidfd, signal);
        signalled.push(pid);
      }
    }
  }
  return { signalled, missed };
}

/** Undefined if it has ended, or is of another pid namespace. */
export function pidfdOf(pid: number): Fd | undefined {
  try {
    return openPidfd(pid);
  } catch (error) {
    if (isErrno(error, "ESRCH", "EINVAL")) return undefined;
    throw error;
  }
}

/** Sooner or later: one that hangs in the kernel must not keep us. */
const END_TIMEOUT_MS = 100;

/** Waits a moment for the end of a process that was killed: usually it is the only one. */
export async function awaitEnd(pidfd: Fd, signal?: AbortSignal): Promise<void> {
  const timeout = AbortSignal.timeout(END_TIMEOUT_MS);
  try {
    await readable(pidfd, { signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) });
  } catch (error) {
    if (error !== timeout.reason) throw error;
  }
}
