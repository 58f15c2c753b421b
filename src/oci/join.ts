/** A process that joins a running container, as a list of system calls. @module */
import { AT_FDCWD, type Fd, O_CLOEXEC, O_WRONLY } from "../linux/fd.ts";
import { openHow } from "../linux/in_root.ts";
import { NAMESPACES } from "../linux/namespace.ts";
import type { Slot } from "../linux/step.ts";
import { bearHeir, changeIds, descriptorMessage, type Placement } from "../linux/steps.ts";
import type { Channel } from "./channel.ts";
import { addDescriptors, closeOtherFds, preservedFds } from "./child_setup.ts";
import { addConsole, type Console, PTMX_FLAGS } from "./console.ts";
import { NAMESPACE_KINDS } from "./namespaces.ts";
import type { ProcessPlan } from "./process_plan.ts";
import {
  addAffinity,
  addEarly,
  addExec,
  addIdentity,
  addListenedFilter,
  addRlimits,
  addSessionKeyring,
  addWorkingDirectory,
} from "./process_steps.ts";
import type { NamespaceType, Process } from "./spec.ts";
import type { Steps } from "./steps.ts";

export interface JoinPlan {
  id: string;
  process: ProcessPlan;
  /** The container's first process. */
  initPidfd: Fd;
  /** Kinds in which it differs from us, without that of pids, in which the child is born. */
  namespaces: readonly NamespaceType[];
  cgroupProcs: readonly Fd[];
  channel: Channel;
  /** Over this socket the master of a terminal goes to the parent. */
  terminalSocket: Fd | undefined;
  /** The pid namespace can be entered only from within, with an heir. */
  bearsHeir: boolean;
  stdio: readonly Placement[];
  preserveFds: number | undefined;
  noNewKeyring: boolean;
  /** False in a user namespace that has given up this right. */
  maySetGroups: boolean;
}

/** What the child has for its parent. */
export interface JoinResult {
  /** Where the listener of its filter will be, if that notifies somebody. */
  listener: Slot | undefined;
  /** Where the pid of its heir will be, if it bears one. */
  heir: Slot | undefined;
}

export function addJoin(steps: Steps, plan: JoinPlan): JoinResult {
  const { process: { process }, channel } = plan;
  closeOtherFds(steps, keptDescriptors(plan));
  addEarly(steps, plan.process.process);
  const score = openOomScore(steps, process);
  addRlimits(steps, plan.process);
  addAffinity(steps, plan.process, "initial");
  const self = new TextEncoder().encode("0");
  for (const fd of plan.cgroupProcs) steps.call("write", [fd.number, self, self.length], { label: "join cgroup" });
  addAffinity(steps, plan.process, "final");
  // All at once, and the mount namespace with them: nothing of ours is opened by path after this.
  const flags = plan.namespaces.reduce((sum, type) => sum | NAMESPACES[NAMESPACE_KINDS[type]], 0);
  if (flags !== 0) steps.call("setns", [plan.initPidfd.number, flags], { label: "join namespaces" });
  const heir = plan.bearsHeir ? bearHeir(steps.program) : undefined;
  if (plan.namespaces.includes("user")) {
    changeIds(steps.program, { uid: 0, gid: 0, ...(plan.maySetGroups && { groups: [] }) });
  }
  // In the user namespace of the container, which has its own names of keyrings.
  if (!plan.noNewKeyring) addSessionKeyring(steps, plan.id);
  // The working directory is still the root, from where openat2 starts.
  const console = plan.terminalSocket && addTerminal(steps, plan.terminalSocket, process);
  addWorkingDirectory(steps, { cwd: process.cwd || "/", root: undefined });
  addDescriptors(steps, { ...plan, console });
  const ownedFds = console ? [0] : plan.stdio.map(({ child }) => child);
  const early = addIdentity(steps, plan.process, {
    ownedFds,
    hasTerminal: console !== undefined,
    channel,
    maySetGroups: plan.maySetGroups,
  });
  if (score !== undefined) writeOomScore(steps, score, process.oomScoreAdj ?? 0);
  const listener = early ?? addListenedFilter(steps, plan.process, channel);
  addExec(steps, plan.process, channel);
  return { listener, heir };
}

/** Opened while /proc is ours still. */
function openOomScore(steps: Steps, { oomScoreAdj }: Process): Slot | undefined {
  if (oomScoreAdj === undefined) return undefined;
  const file = steps.slot();
  const args = [AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0];
  steps.call("openat", args, { label: "open oom_score_adj", result: file });
  return file;
}

/** At the end, as until the execve we share this value with the engine. Lowering it takes rights that may be missing. */
function writeOomScore(steps: Steps, file: Slot, score: number): void {
  const text = new TextEncoder().encode(`${score}`);
  steps.call("write", [file, text, text.length], { label: "set oom_score_adj", ignore: ["EACCES", "EPERM"] });
}

function keptDescriptors(plan: JoinPlan): number[] {
  const { channel, initPidfd, cgroupProcs, stdio, preserveFds, terminalSocket } = plan;
  const given = stdio.map(({ fd }) => fd).filter((fd) => typeof fd === "number");
  const own = [...channel.childFds, initPidfd, ...cgroupProcs, ...terminalSocket ? [terminalSocket] : []].map((
    { number },
  ) => number);
  return [...own, ...given, ...preservedFds(preserveFds)];
}

function addTerminal(steps: Steps, socket: Fd, { consoleSize }: Process): Console {
  const how = openHow({ flags: PTMX_FLAGS });
  const message = descriptorMessage(steps.program);
  const label = "open terminal /dev/pts/ptmx";
  steps.call("openat2", [AT_FDCWD, "/dev/pts/ptmx", how, how.length], { label, result: message.fd });
  const console = addConsole(steps, message.fd, consoleSize);
  message.send(socket.number, "hand over terminal");
  return console;
}
