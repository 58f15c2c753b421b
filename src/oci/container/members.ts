/**
 * The processes of a container among those in its cgroup. Others may have been put there, and other containers may be in
 * the same group: these are neither signalled nor ended.
 *
 * @module
 */
import { awaitEnd, pidfdOf } from "../../linux/cgroup/kill.ts";
import { sendSignal } from "../../linux/process/pidfd.ts";
import { readProcessStat } from "../../linux/process/process.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import type { Spec } from "../spec/spec.ts";
import type { ContainerParts } from "./create_options.ts";
import { sharesCgroup } from "./neighbours.ts";
import { livePid, type StoredState } from "./state.ts";

/** Without a pid namespace of its own, the kernel leaves the children of a killed first process alone (B7). */
export function hasPidNamespace({ linux }: Spec): boolean {
  return (linux?.namespaces ?? []).some(({ type, path }) => type === "pid" && !path);
}

/** Whether all processes in its group are the container's, as far as can be known. */
function ownsAll({ stored, directory, home: { stateRoot } }: ContainerParts): boolean {
  if (stored.cgroupPath === "") return true;
  // One that has never come to life has no first process to tell the others by.
  const isHalfMade = stored.pid === 0 || directory.exists() && directory.stage() === "creating";
  return (isHalfMade || !hasPidNamespace(stored.spec)) && !sharesCgroup(stored, stateRoot);
}

/** Processes of the container, as this pid namespace numbers them. */
export function ownMembers(parts: ContainerParts): number[] {
  const { cgroup, stored } = parts;
  const members = cgroup.members();
  if (ownsAll(parts)) return members;
  const init = livePid(stored);
  // All others of its pid namespace end before it does.
  if (init === 0) return [];
  const namespace = hasPidNamespace(stored.spec) ? pidNamespace(init) : undefined;
  const isFirst = (pid: number) => pid === init || namespace !== undefined && pidNamespace(pid) === namespace;
  return members.filter((pid) => descends(pid, isFirst));
}

function pidNamespace(pid: number): string | undefined {
  try {
    return Deno.readLinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined; // it has ended
  }
}

function descends(pid: number, isFirst: (pid: number) => boolean): boolean {
  for (let at: number | undefined = pid; at !== undefined && at > 1; at = readProcessStat(at)?.parent) {
    if (isFirst(at)) return true;
  }
  return false;
}

/** Of a tenth of a second at most. */
const ROUNDS = 20;

/**
 * Kills the container's processes, frozen ones too, and waits for their end (B2, B7).
 *
 * @throws {Error} Somebody is left.
 */
export async function endMembers(parts: ContainerParts): Promise<void> {
  const { cgroup, stored, directory } = parts;
  // Whoever deleted it has ended its processes.
  if (directory.isReplaced()) return;
  // As a whole, which those that fork without end cannot escape.
  if (ownsAll(parts)) {
    await cgroup.kill();
    return await endEscaped(stored);
  }
  for (let round = 0; round < ROUNDS; round++) {
    using ending = new DisposableStack();
    const own = ownMembers(parts);
    // It leaves its group a moment before those of its namespace do, for which it waits.
    const init = livePid(stored);
    if (init !== 0 && !own.includes(init)) own.push(init);
    if (own.length === 0) return;
    const pidfds = own.map(pidfdOf).filter((one) => one !== undefined).map((one) => ending.use(one));
    for (const pidfd of pidfds) sendSignal(pidfd, SIGNALS.SIGKILL);
    cgroup.letDie();
    for (const pidfd of pidfds) await awaitEnd(pidfd);
  }
  const left = ownMembers(parts);
  if (left.length > 0) throw new Error(`Cannot end container "${stored.id}": processes ${left.join(", ")} stay`);
}

/** A first process that may write to cgroups can have left its own. */
async function endEscaped(stored: StoredState): Promise<void> {
  using pidfd = livePid(stored) === 0 ? undefined : pidfdOf(stored.pid);
  // By descriptor first: the number may have passed to another process meanwhile.
  if (pidfd === undefined || livePid(stored) === 0) return;
  sendSignal(pidfd, SIGNALS.SIGKILL);
  for (let round = 0; round < ROUNDS && livePid(stored) !== 0; round++) await awaitEnd(pidfd);
  if (livePid(stored) !== 0) throw new Error(`Cannot end container "${stored.id}": process ${stored.pid} stays`);
}

/** Removes the container's groups, but for those that others have made, or are in. */
export async function removeCgroups({ cgroup, stored, home }: ContainerParts): Promise<void> {
  const used = await cgroup.removeUnused({ but: stored.foreignCgroups ?? [] });
  if (used.length > 0) home.log?.warning("cgroup stays: others are in it", { container: stored.id, paths: used });
}
