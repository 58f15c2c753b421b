/**
 * The processes of a container among those in its cgroup. Others may have been put there, and other containers may be in
 * the same group: these are neither signalled nor ended.
 *
 * @module
 */
import { frozenGroupOf } from "../../linux/cgroup/frozen.ts";
import { awaitEnd, pidfdOf, signalMembers } from "../../linux/cgroup/kill.ts";
import { Kin, namespaceOf } from "../../linux/process/kin.ts";
import { sendSignal } from "../../linux/process/pidfd.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import type { Spec } from "../spec/spec.ts";
import type { ContainerParts } from "./create_options.ts";
import { sharesCgroup } from "./neighbours.ts";
import { ownsMounts } from "./shared_mounts.ts";
import { livePid } from "./state.ts";

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
  return parts.cgroup.members().filter(ownership(parts));
}

/** Signals the container's processes. */
export function signalOwn(parts: ContainerParts, signal: number): void {
  signalMembers(() => parts.cgroup.members(), { signal, chooser: () => ownership(parts) });
}

/**
 * @returns Whether a member of the group is the container's: one that descends from its first process, or is in its pid
 *   namespace, or in its mount namespace, in which those stay whose parents have ended. To be asked for a moment only.
 */
function ownership(parts: ContainerParts): (pid: number) => boolean {
  const { stored, stored: { mountNamespace } } = parts;
  if (ownsAll(parts)) return () => true;
  const init = livePid(stored);
  // All others of its pid namespace end before it does.
  if (init === 0 && mountNamespace === undefined) return () => false;
  const pids = init !== 0 && hasPidNamespace(stored.spec) ? namespaceOf(init, "pid") : undefined;
  const kin = new Kin((pid) =>
    pid === init || pids !== undefined && namespaceOf(pid, "pid") === pids ||
    mountNamespace !== undefined && namespaceOf(pid, "mnt") === mountNamespace
  );
  return (pid) => kin.has(pid);
}

/**
 * Mount namespace by which processes are known whose parents have ended.
 *
 * @param pid The first process. @returns Undefined for a container whose pid namespace tells, or that has none of its own.
 */
export function tellingNamespace(pid: number, spec: Spec): string | undefined {
  return hasPidNamespace(spec) || !ownsMounts(spec) ? undefined : namespaceOf(pid, "mnt");
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
    await killAll(parts);
    return await endEscaped(parts);
  }
  for (let round = 0; round < ROUNDS; round++) {
    // The first process leaves its group a moment before those of its namespace do, for which it waits.
    const [first] = livePid(stored) === 0 ? ownMembers(parts) : [stored.pid];
    if (first === undefined) return;
    using pidfd = pidfdOf(first);
    signalOwn(parts, SIGNALS.SIGKILL);
    if (pidfd !== undefined && livePid(stored) === first) sendSignal(pidfd, SIGNALS.SIGKILL);
    cgroup.letDie();
    if (pidfd !== undefined) await awaitEnd(pidfd);
  }
  // A first process that has left its group is not among the members.
  const left = new Set([livePid(stored), ...ownMembers(parts)].filter((pid) => pid !== 0));
  if (left.size > 0) throw staying(parts, [...left]);
}

async function killAll(parts: ContainerParts): Promise<void> {
  try {
    await parts.cgroup.kill();
  } catch (cause) {
    // In which of its groups it is left depends on the hierarchy: the first process tells more.
    const first = livePid(parts.stored);
    throw first === 0 ? cause : staying(parts, [first], cause);
  }
}

/** Says who stays. On v1 what stands in a frozen group does not die, and it may be in one of others. */
function staying({ stored: { id }, home: { cgroups } }: ContainerParts, pids: number[], cause?: unknown): Error {
  const words = pids.map((pid) => {
    const frozen = frozenGroupOf(cgroups, pid);
    return `process ${pid} stays${
      frozen === undefined ? "" : `: it is frozen in cgroup "${frozen}", which is to be thawed`
    }`;
  });
  return new Error(`Cannot end container "${id}": ${words.join(", ")}`, { cause });
}

/** A first process that may write to cgroups can have left its own. */
async function endEscaped(parts: ContainerParts): Promise<void> {
  const { stored } = parts;
  using pidfd = livePid(stored) === 0 ? undefined : pidfdOf(stored.pid);
  // By descriptor first: the number may have passed to another process meanwhile.
  if (pidfd === undefined || livePid(stored) === 0) return;
  sendSignal(pidfd, SIGNALS.SIGKILL);
  for (let round = 0; round < ROUNDS && livePid(stored) !== 0; round++) await awaitEnd(pidfd);
  if (livePid(stored) !== 0) throw staying(parts, [stored.pid]);
}

/** Removes the container's groups, but for those that others have made, or are in. */
export async function removeCgroups({ cgroup, stored, home }: ContainerParts): Promise<void> {
  const used = await cgroup.removeUnused({ but: stored.foreignCgroups ?? [] });
  if (used.length > 0) home.log?.warning("cgroup stays: others are in it", { container: stored.id, paths: used });
}
