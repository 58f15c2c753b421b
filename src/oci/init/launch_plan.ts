/** Plans a container's first process up to its mounts: namespaces, cgroups, descriptors. @module */
import type { CgroupJoinTarget } from "../../linux/cgroup/cgroup.ts";
import type { NamespaceFlag } from "../../linux/child_program/start.ts";
import { type Fd, O_RDONLY, O_RDWR, O_WRONLY } from "../../linux/io/fd.ts";
import { findMount, readMountInfo } from "../../linux/mount/mountinfo.ts";
import type { ContainerDraft } from "../container/create_options.ts";
import type { Channel } from "./channel.ts";
import { freeNumber, preservedFds, stdioFds } from "./child_setup.ts";
import type { EarlyInitPlan } from "./plan.ts";
import type { DeviceNode } from "../mount/devices.ts";
import type { PlannedMount } from "../mount/planned.ts";
import { joinsUser, type NamespacePlan, namespacesOfParent } from "./namespaces.ts";
import type { NamespaceType } from "../spec/spec.ts";

const CLONE_FLAGS: Partial<Record<NamespaceType, NamespaceFlag>> = {
  user: "newuser",
  mount: "newns",
  uts: "newuts",
  ipc: "newipc",
  network: "newnet",
  pid: "newpid",
};

/** Flags of clone3(2) for kinds of namespaces; those that it has none for are made later. */
export function namespaceFlags(types: readonly NamespaceType[]): NamespaceFlag[] {
  return types.flatMap((type) => CLONE_FLAGS[type] ?? []);
}

/**
 * All namespaces belong to the user namespace that they are made with; a pid namespace takes only children made in it.
 * In a user namespace that the child joins, this is a stage-2 child. The message queues of an IPC namespace belong to
 * the user who makes it, which in a new user namespace the child is only once it has its ids.
 */
export function partNamespaces({ fresh, joined }: NamespacePlan): { born: NamespaceType[]; unshared: NamespaceType[] } {
  const all = [...fresh].filter((type) => type in CLONE_FLAGS);
  const isBorn = (type: NamespaceType) => fresh.has("user") ? type !== "ipc" : type === "pid" && !joinsUser(joined);
  return { born: all.filter(isBorn), unshared: all.filter((type) => !isBorn(type)) };
}

/** Opens something for the child; we close it once the child has it. */
export type Open = (path: string, flags: number) => Fd;

export interface EarlyInitOptions {
  namespaces: NamespacePlan;
  born: readonly NamespaceType[];
  unshared: readonly NamespaceType[];
  entrance: CgroupJoinTarget;
  channel: Channel;
  planned: number;
  terminal: number | undefined;
  open: Open;
  mounts: readonly PlannedMount[] | undefined;
  devices: readonly DeviceNode[] | undefined;
}

/** Descriptors that the child inherits, under the numbers that they have here. */
type ChildDescriptors = Pick<EarlyInitPlan, "joined" | "cgroupProcs" | "execFifo" | "stdio" | "kept">;

function openForChild(
  { options: { stdio: given = {}, preserveFds }, directory }: ContainerDraft,
  { namespaces, entrance, channel, planned, terminal, open, mounts = [], devices = [] }: EarlyInitOptions,
): ChildDescriptors {
  const entered = namespacesOfParent(namespaces);
  const joined = namespaces.joined.filter(({ type }) => !entered.some((one) => one.type === type))
    .map(({ type, path }) => ({ type, fd: open(path, O_RDONLY).number }));
  const cgroupProcs = entrance.files.map((path) => open(path, O_WRONLY).number);
  const execFifo = open(directory.earlyFifo, O_RDWR).number;
  const stdio = stdioFds(given);
  const trees = mounts.flatMap((one) => one.kind === "bind" ? [one.tree, one.spare] : []);
  const kept = [
    ...[...trees, ...devices.map(({ tree }) => tree), terminal].filter((fd) => fd !== undefined),
    ...channel.childFds.map(({ number }) => number),
    planned,
    execFifo,
    ...joined.map(({ fd }) => fd),
    ...cgroupProcs,
    ...stdio.map(({ fd }) => fd).filter((fd) => typeof fd === "number"),
    ...preservedFds(preserveFds),
  ];
  return { joined, cgroupProcs, execFifo, stdio, kept };
}

/** Plans the child's first steps, up to its mounts, and opens the files that these steps need. */
export function planEarlyInit(draft: ContainerDraft, planning: EarlyInitOptions): EarlyInitPlan {
  const { options: { id, spec, preserveFds, noNewKeyring = false, keepsLineEnds }, stored: { rootfs, scope } } = draft;
  const { namespaces: { fresh }, born, unshared, channel, planned, terminal } = planning;
  const descriptors = openForChild(draft, planning);
  const pids = descriptors.joined.find(({ type }) => type === "pid");
  return {
    ...descriptors,
    joined: descriptors.joined.filter((one) => one !== pids),
    id,
    spec,
    rootfs,
    rootfsMountPoint: () => findMount(readMountInfo(), rootfs)?.mountPoint ?? "/",
    fresh,
    // In a user namespace without ids an execve costs the child its capabilities.
    bornInStage2: fresh.has("user") ? born : [],
    unshared,
    pids: pids && { fd: pids.fd, handle: freeNumber(descriptors.kept) + 1 },
    waitsForScope: scope !== undefined,
    channel,
    planned,
    terminal,
    keepsLineEnds,
    preserveFds,
    noNewKeyring,
    maySetGroups: Deno.uid() === 0 || !fresh.has("user"),
  };
}
