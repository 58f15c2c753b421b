/** A process that joins a running container, as a list of system calls. @module */
import { AT_FDCWD, type Fd } from "../../linux/io/fd.ts";
import { openHow } from "../../linux/fs/in_root.ts";
import { NAMESPACES } from "../../linux/process/namespace_kinds.ts";
import { forbidInspection } from "../../linux/security/rights.ts";
import type { Slot } from "../../linux/child_program/call.ts";
import {
  changeIds,
  type ChildFd,
  descriptorMessage,
  forkStage2,
  type Stage2Options,
} from "../../linux/child_program/calls.ts";
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import type { Channel } from "../init/channel.ts";
import { addDescriptors, closeOtherFds, preservedFds } from "../init/child_setup.ts";
import { addConsole, type Console, type ConsoleOptions, PTMX_FLAGS } from "../init/console.ts";
import { NAMESPACE_KINDS } from "../init/namespaces.ts";
import type { ProcessPlan } from "../init/process_plan.ts";
import {
  addAffinity,
  addEarly,
  addExec,
  addIdentity,
  addListenedFilter,
  addMemoryPolicy,
  addRlimits,
  addScheduler,
  addSessionKeyring,
  addWorkingDirectory,
  resetAffinity,
} from "../init/process_steps.ts";
import { personalityValue } from "../init/scheduling.ts";
import type { MemoryPolicy, NamespaceType, Personality } from "../spec/spec.ts";

export interface JoinPlan {
  id: string;
  process: ProcessPlan;
  /** Of the container. */
  personality: Personality | undefined;
  /** Of the container. */
  memoryPolicy: MemoryPolicy | undefined;
  /** The container's first process. */
  initPidfd: Fd;
  /** Root directory to change to, as the container has no mount namespace that would bring it. */
  root: Fd | undefined;
  /** Kinds in which it differs from us. */
  namespaces: readonly NamespaceType[];
  cgroupProcs: readonly Fd[];
  channel: Channel;
  /** Over this socket the master of a terminal goes to the parent. */
  terminalSocket: Fd | undefined;
  keepsLineEnds: boolean | undefined;
  stdio: readonly ChildFd[];
  preserveFds: number | undefined;
  noNewKeyring: boolean;
  /** False in a user namespace that has given up this right. */
  maySetGroups: boolean;
}

export interface JoinResult {
  /** Slot for the pid of the stage-2 child that runs the program, if the steps fork one. */
  stage2: Slot | undefined;
}

/** Adds the steps of a join, made outside of the container's pid namespace, where the process appears at the end. */
export function addJoin(steps: SyscallProgram, plan: JoinPlan): JoinResult {
  const { process: { process }, channel } = plan;
  addEarly(steps, process);
  addRlimits(steps, plan.process);
  addAffinity(steps, plan.process, "initial");
  const self = new TextEncoder().encode("0");
  for (const fd of plan.cgroupProcs) steps.call("write", [fd.number, self, self.length], { label: "join cgroup" });
  addAffinity(steps, plan.process, "final");
  const forks = plan.namespaces.includes("pid");
  // A policy may not be for children, and some have none: then its parent sets it, once it is there.
  if (!forks) addScheduler(steps, process);
  if (process.execCPUAffinity === undefined) resetAffinity(steps);
  forbidInspection(steps);
  // All at once, and the mount namespace with them: nothing of ours is opened by path after this.
  const flags = plan.namespaces.reduce((sum, type) => sum | NAMESPACES[NAMESPACE_KINDS[type]], 0);
  if (flags !== 0) steps.call("setns", [plan.initPidfd.number, flags], { label: "join namespaces" });
  if (plan.root) {
    steps.call("fchdir", [plan.root.number], { label: "enter root" });
    steps.call("chroot", ["."], { label: "change root" });
  }
  if (plan.namespaces.includes("user")) {
    changeIds(steps, { uid: 0, gid: 0, ...(plan.maySetGroups && { groups: [] }) });
  }
  // In the user namespace of the container, which has its own names of keyrings.
  if (!plan.noNewKeyring) addSessionKeyring(steps, plan.id);
  // The working directory is still the root, from where openat2 starts.
  const console = plan.terminalSocket && addTerminal(steps, plan.terminalSocket, {
    size: process.consoleSize,
    keepsLineEnds: plan.keepsLineEnds,
  });
  addWorkingDirectory(steps, { cwd: process.cwd || "/", root: undefined });
  if (plan.personality) steps.call("personality", [personalityValue(plan.personality)]);
  addMemoryPolicy(steps, plan.memoryPolicy);
  addDescriptors(steps, { ...plan, console });
  const ownedFds = console ? [0] : plan.stdio.map(({ child }) => child);
  let stage2: Slot | undefined;
  const appear = (by: Stage2Options) => void (stage2 = forkStage2(steps, by));
  const identity = addIdentity(steps, plan.process, {
    ownedFds,
    hasTerminal: console !== undefined,
    channel,
    maySetGroups: plan.maySetGroups,
    leave: ({ talk }) => leave(steps, plan, talk),
    appear: forks ? appear : undefined,
    isFollowed: process.scheduler !== undefined,
    isChecked: false,
  });
  addListenedFilter(steps, identity, channel);
  addExec(steps, plan.process, identity);
  return { stage2 };
}

/** To be seen with no descriptor but what it takes to its program. */
function leave(steps: SyscallProgram, { preserveFds }: JoinPlan, talk: readonly number[]): void {
  closeOtherFds(steps, [...preservedFds(preserveFds), ...talk, steps.reportNumber]);
}

/** Numbers of what its steps need. */
export function keptDescriptors(plan: JoinPlan): number[] {
  const { channel, initPidfd, root, cgroupProcs, stdio, preserveFds, terminalSocket } = plan;
  const given = stdio.map(({ fd }) => fd).filter((fd) => typeof fd === "number");
  const own = [
    ...channel.childFds,
    initPidfd,
    ...root ? [root] : [],
    ...cgroupProcs,
    ...terminalSocket ? [terminalSocket] : [],
  ].map((
    { number },
  ) => number);
  return [...own, ...given, ...preservedFds(preserveFds)];
}

function addTerminal(steps: SyscallProgram, socket: Fd, options: ConsoleOptions): Console {
  const how = openHow({ flags: PTMX_FLAGS });
  const message = descriptorMessage(steps);
  const label = "open terminal /dev/pts/ptmx";
  steps.call("openat2", [AT_FDCWD, "/dev/pts/ptmx", how, how.length], { label, result: message.fd });
  const console = addConsole(steps, message.fd, options);
  message.send(socket.number, { label: "hand over terminal" });
  steps.close(message.fd);
  return console;
}
