/**
 * The processes of a container among those in its cgroup. Others may have been put there, and other containers may be in
 * the same group: these are neither signalled nor ended.
 *
 * @module
 */
import { frozenGroupOf } from "../../linux/cgroup/frozen.ts";
import { awaitEnd, pidfdOf, signalMembers } from "../../linux/cgroup/kill.ts";
import { sendSignal } from "../../linux/process/pidfd.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import { reaches } from "../cgroup/wait.ts";
import type { ContainerParts } from "./create_options.ts";
import { hasPidNamespace, Marks } from "./marks.ts";
import { sharesCgroup } from "./neighbours.ts";
import { livePid } from "./state.ts";
import { Stillness } from "./stillness.ts";

/** Whether all processes in its group are the container's, as far as can be known. */
function ownsAll({ stored, directory, home: { stateRoot } }: ContainerParts): boolean {
  if (stored.cgroupPath === "") return true;
  // One that has never come to life has no first process to tell the others by.
  const isHalfMade = stored.pid === 0 || directory.exists() && directory.stage() === "creating";
  return (isHalfMade || !hasPidNamespace(stored.spec)) && !sharesCgroup(stored, stateRoot);
}

/** Whether any process of the container is there. */
export async function hasMembers(parts: ContainerParts): Promise<boolean> {
  const { cgroup, stored } = parts;
  if (ownsAll(parts)) return cgroup.members().length > 0;
  using marks = new Marks(stored);
  await using still = await Stillness.of(parts);
  let has = false;
  await still.during(() => has = cgroup.members().some(marks.look()));
  return has;
}

/** Signals the container's processes. */
export async function signalOwn(parts: ContainerParts, signal: number): Promise<void> {
  const list = () => parts.cgroup.members();
  if (ownsAll(parts)) return void signalMembers(list, { signal });
  using marks = new Marks(parts.stored);
  await using still = await Stillness.of(parts);
  await still.during(() => signalMembers(list, { signal, chooser: () => marks.look() }));
}

/** Of a tenth of a second at most. */
const ROUNDS = 20;
const ROUND_MS = 100;
/** One after the other that find nobody, where nobody can be kept from running. */
const LOOKS = 5;

/**
 * Kills the container's processes, frozen ones too, and waits for their end (B2, B7).
 *
 * @throws {Error} Somebody is left.
 */
export async function endMembers(parts: ContainerParts): Promise<void> {
  // Whoever deleted it has ended its processes.
  if (parts.directory.isReplaced()) return;
  if (!ownsAll(parts)) return await endAmongOthers(parts);
  // As a whole, which those that fork without end cannot escape.
  await killAll(parts);
  await endEscaped(parts);
}

async function endAmongOthers(parts: ContainerParts): Promise<void> {
  const { cgroup, stored, directory } = parts;
  // Its pause ends with it: nobody could resume the others.
  if (directory.isMarkedPaused() && cgroup.isFrozen()) await cgroup.thaw();
  using marks = new Marks(stored);
  await using still = await Stillness.of(parts);
  let found = { signalled: [] as number[], missed: [] as number[] };
  let looks = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const isStill = await still.during(() => found = killFound(parts, marks));
    const { signalled, missed } = found;
    if (signalled.length > 0 || !isStill && missed.length > 0) looks = 0;
    else if (isStill || ++looks === LOOKS) return warnOfDoubtful(parts, marks);
    cgroup.letDie();
    const isGone = () => !includesAny(cgroup.members(), signalled) && livePid(stored) === 0;
    await reaches(isGone, { timeoutMs: ROUND_MS });
  }
  if (found.signalled.length > 0) throw staying(parts, found.signalled);
  throw new Error(`Cannot end container "${stored.id}": others, who fork and end, hide who stays in its cgroup`);
}

/** The first process may have left the group. */
function killFound({ cgroup, stored }: ContainerParts, marks: Marks): ReturnType<typeof signalMembers> {
  const signal = SIGNALS.SIGKILL;
  const { signalled, missed } = signalMembers(() => cgroup.members(), { signal, chooser: () => marks.look() });
  const init = livePid(stored);
  using pidfd = init === 0 ? undefined : pidfdOf(init);
  // By descriptor first: the number may have passed to another process meanwhile.
  if (pidfd === undefined || livePid(stored) !== init) return { signalled, missed };
  sendSignal(pidfd, signal);
  return { signalled: [...signalled, init], missed };
}

function includesAny(members: number[], some: readonly number[]): boolean {
  const all = new Set(members);
  return some.some((pid) => all.has(pid));
}

function warnOfDoubtful({ cgroup, stored: { id }, home }: ContainerParts, marks: Marks): void {
  const processes = cgroup.members().filter((pid) => marks.isDoubtful(pid));
  if (processes.length === 0) return;
  home.log?.warning("processes stay: nothing tells any more whether they are the container's", {
    container: id,
    processes,
  });
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
