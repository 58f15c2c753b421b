/**
 * The first process of a container, from clone to execve, as a list of system calls. Everything that can be decided is
 * decided before; read {@linkcode addInit} from top to bottom for the order.
 *
 * @module
 */
import { MOUNT_ATTR } from "../../linux/mount/mount_options.ts";
import type { Slot } from "../../linux/child_program/call.ts";
import { awaitByte, descriptorMessage, forkStage2, writeFile } from "../../linux/child_program/calls.ts";
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import { changeRoot } from "./change_root.ts";
import { addDescriptors, closeOtherFds, freeNumber, preservedFds } from "./child_setup.ts";
import type { Channel } from "./channel.ts";
import { addConsole, bindConsole, type Console, type ConsoleOptions, PTMX_FLAGS } from "./console.ts";
import type { CopyUp } from "../mount/copy_up.ts";
import { addDevices } from "../mount/devices.ts";
import { enterNamespaces, joinCgroups, joinNamespace, setPropagation } from "./enter.ts";
import { addMaskedPaths, addReadonlyPaths } from "../mount/masked.ts";
import { deferReadOnlyDev, hasOwnDev } from "../mount/plan.ts";
import { addMounts, type CopyUpOffer, seal } from "../mount/mounts.ts";
import { joinsUser } from "./namespaces.ts";
import type { LivedInPids } from "../mount/proc_mount.ts";
import {
  addEarly,
  addExec,
  addIdentity,
  addListenedFilter,
  addMemoryPolicy,
  addRlimits,
  addSessionKeyring,
  addWorkingDirectory,
} from "./process_steps.ts";
import { RootDirectory } from "../mount/rootfs.ts";
import { resolveInView, viewOf } from "../mount/view.ts";
import { personalityValue } from "./scheduling.ts";
import type { Linux } from "../spec/spec.ts";
import { sysctlPath } from "./sysctl.ts";
import type { EarlyInitPlan, InitPlan, InitResult } from "./plan.ts";

/**
 * Adds the first steps, which take no plan of the mounts. They end with a wait for the parent, which makes the plan.
 *
 * @returns Where the pid will be of the stage-2 child that goes on instead, if there is one.
 */
export function addEarlyInit(steps: SyscallProgram, plan: EarlyInitPlan): Slot | undefined {
  addEarly(steps, plan.spec.process!);
  joinCgroups(steps, plan);
  const stage2 = enterNamespaces(steps, plan) ?? (plan.pids && steps.toldSlot());
  steps.call("umask", [0]);
  if (!plan.noNewKeyring) addSessionKeyring(steps, plan.id);
  setPropagation(steps, plan);
  awaitByte(steps, plan.planned, { label: "wait for the plan" });
  return stage2;
}

/** Adds all other steps. @param stage2 As {@linkcode addEarlyInit} gave it. */
export function addInit(steps: SyscallProgram, plan: InitPlan, stage2: Slot | undefined): InitResult {
  const { spec: { linux = {}, root: rootSpec, process: processSpec }, process, channel } = plan;
  const handle = freeNumber([...plan.kept, ...steps.ownNumbers]);
  const root = new RootDirectory(steps, { path: plan.rootfs, handle });
  const isAlone = plan.fresh.has("mount");
  if (!isAlone || linux.rootfsPropagation?.endsWith("shared")) root.makePrivate();
  const { sealDev, copies } = addTree(steps, root, plan);
  if (plan.waitsForHooks) channel.addStop(steps, "hooks");
  // Hooks make what some are about, such as network interfaces.
  addSysctls(steps, linux);
  const inside = hints(plan);
  addReadonlyPaths(root, (linux.readonlyPaths ?? []).map(inside));
  addMaskedPaths(steps, root, (linux.maskedPaths ?? []).map(inside));
  const console = plan.terminal === undefined ? undefined : addTerminal(steps, root, {
    socket: plan.terminal,
    size: processSpec?.consoleSize,
    keepsLineEnds: plan.keepsLineEnds,
  });
  if (sealDev) seal(root, "/dev");
  const cwd = inside(processSpec?.cwd ?? "/");
  root.makeDirectories(cwd, { ignore: ["EEXIST"] });
  if (rootSpec?.readonly) root.setAttributes(root.fd, { set: MOUNT_ATTR.RDONLY }, { label: "make root read-only" });
  changeRoot(steps, root, { propagation: linux.rootfsPropagation, moved: plan.moved, isAlone });

  addWorkingDirectory(steps, { cwd, root: root.fd });
  if (linux.personality) steps.call("personality", [personalityValue(linux.personality)]);
  addMemoryPolicy(steps, linux.memoryPolicy);
  addDescriptors(steps, { ...plan, console });
  if (!plan.fresh.has("user") && !joinsUser(plan.joined)) addRlimits(steps, process);
  const ownedFds = console ? [0] : plan.stdio.map(({ child }) => child);
  // As long as we may. It is for children only.
  if (plan.pids !== undefined && !plan.fresh.has("user")) joinNamespace(steps, { type: "pid", fd: plan.pids.fd });
  const identity = addIdentity(steps, process, {
    ownedFds,
    hasTerminal: console !== undefined,
    channel,
    maySetGroups: plan.maySetGroups,
    leave: () => leave(steps, plan),
    appear: plan.pids && ((by) => void forkStage2(steps, { ...by, ...(stage2 && { into: stage2 }) })),
    isFollowed: true,
    isChecked: true,
  });
  addListenedFilter(steps, identity, channel);
  park(steps, plan);
  addExec(steps, process, identity);
  return { copies };
}

/** From here on an exec, or who shares its pid namespace, may look at it; and its filter need not allow to close many. */
function leave(steps: SyscallProgram, { channel, execFifo, preserveFds }: InitPlan): void {
  const talk = channel.childNumbers;
  closeOtherFds(steps, [...preservedFds(preserveFds), ...talk, execFifo, steps.reportNumber]);
}

/** Waits for its start with nothing that is not its own. By calls that every filter allows, as it may hold already. */
function park(steps: SyscallProgram, { channel, execFifo }: InitPlan): void {
  for (const talk of channel.childNumbers) if (talk !== channel.reportNumber) steps.call("close", [talk]);
  channel.addReport(steps, "created");
  steps.call("close", [channel.reportNumber]);
  awaitByte(steps, execFifo, { label: "wait for start" });
}

/** Follows the image's links: those that hold `..` the kernel would give up on if anybody renames a file meanwhile. */
function hints({ rootfs, mounts }: InitPlan): (path: string) => string {
  const view = viewOf(mounts, rootfs);
  return (path) => {
    try {
      return resolveInView(view, path);
    } catch (error) {
      if (error instanceof RangeError) return path; // a circle of links, as the kernel will find
      throw error;
    }
  };
}

/** @returns `sealDev`: whether /dev must be made read-only once all is in it. */
function addTree(steps: SyscallProgram, root: RootDirectory, plan: InitPlan): { sealDev: boolean; copies: CopyUp[] } {
  const { planned, sealDev } = deferReadOnlyDev(plan.mounts);
  const copies: CopyUp[] = [];
  const offerCopyUp = (copy: CopyUp) => {
    copies.push(copy);
    return offerDirectories(steps, plan.channel, copy);
  };
  // A proc of the machine's pid namespace is not for the root of another user namespace to open.
  const pids = plan.fresh.has("user") ? undefined : plan.pids;
  addMounts(steps, root, { planned, offerCopyUp, pids: pids && withHandle(steps, plan, pids) });
  const mayNotMakeNodes = plan.fresh.has("user") || plan.joined.some(({ type }) => type === "user");
  if (!hasOwnDev(planned)) addDevices(steps, root, { nodes: plan.devices, bind: mayNotMakeNodes });
  return { sealDev, copies };
}

/** Hands them over, as who may trace nobody could not take them. */
function offerDirectories(steps: SyscallProgram, channel: Channel, { withMode }: CopyUp): CopyUpOffer {
  const [from, to, image] = [descriptorMessage(steps), descriptorMessage(steps), descriptorMessage(steps)];
  const label = "hand over directories";
  return {
    from: from.fd,
    to: to.fd,
    image: image.fd,
    addStop: () => {
      for (const one of [from, to]) one.send(channel.handover, { label });
      // None if it was made just now.
      if (withMode) image.send(channel.handover, { label, ignore: ["EBADF"] });
      channel.addStop(steps, "copyUp");
    },
  };
}

/** By our own /proc, which the container cannot have changed; the kernel goes by the namespaces of the writer. */
function addSysctls(steps: SyscallProgram, { sysctl = {} }: Linux): void {
  for (const [name, value] of Object.entries(sysctl)) {
    writeFile(steps, sysctlPath(name), { content: value, label: `set sysctl ${name}` });
  }
}

function addTerminal(
  steps: SyscallProgram,
  root: RootDirectory,
  { socket, ...options }: { socket: number } & ConsoleOptions,
): Console {
  const label = "open terminal /dev/pts/ptmx";
  const message = descriptorMessage(steps);
  root.open("/dev/pts/ptmx", { flags: PTMX_FLAGS, into: message.fd, call: { label } });
  const console = addConsole(steps, message.fd, options);
  message.send(socket, { label: "hand over terminal" });
  steps.close(message.fd);
  bindConsole(steps, root, console);
  return console;
}

/** The number after that of the root's handle, as nothing else may have it. */
function withHandle(steps: SyscallProgram, { kept }: InitPlan, { fd }: LivedInPids): LivedInPids {
  const used = [...kept, ...steps.ownNumbers];
  return { fd, handle: freeNumber([...used, freeNumber(used)]) };
}
