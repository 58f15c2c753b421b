/** The way of a container's first process into its cgroups and namespaces. @module */
import { MS } from "../../linux/mount/mount_options.ts";
import { NAMESPACES } from "../../linux/process/namespace_kinds.ts";
import { forbidInspection } from "../../linux/security/rights.ts";
import type { Slot } from "../../linux/child_program/call.ts";
import { changeIds, forkStage2, writeFile } from "../../linux/child_program/calls.ts";
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import type { Channel } from "./channel.ts";
import type { EarlyInitPlan } from "./plan.ts";
import { formatTimeOffsets } from "./clocks.ts";
import { joinsUser, NAMESPACE_KINDS } from "./namespaces.ts";
import { addRlimits, resetAffinity } from "./process_steps.ts";
import { rlimitCall } from "./rlimits.ts";
import type { NamespaceType } from "../spec/spec.ts";

export function joinCgroups(steps: SyscallProgram, { cgroupProcs, waitsForScope, channel }: EarlyInitPlan): void {
  if (waitsForScope) channel.addStop(steps, "scope");
  const self = new TextEncoder().encode("0");
  for (const fd of cgroupProcs) steps.call("write", [fd, self, self.length], { label: "join cgroup" });
  resetAffinity(steps);
}

/** @returns Where the pid will be of the stage-2 child that goes on instead, if there is one. */
export function enterNamespaces(steps: SyscallProgram, plan: EarlyInitPlan): Slot | undefined {
  const { fresh, bornInStage2, unshared, joined, channel, spec, maySetGroups } = plan;
  const first = bornInStage2.length > 0 ? enterFreshUser(steps, plan) : undefined;
  if (fresh.has("user")) {
    channel.addStop(steps, "maps");
    changeIds(steps, { uid: 0, gid: 0, ...(maySetGroups && { groups: [] }) });
  }
  // Not for a plain user: /proc files of a process closed to inspection are root's, so its parent could not write them.
  if (Deno.uid() === 0) forbidInspection(steps);
  // The user namespace first: it gives the right to enter the others.
  for (const { type, fd } of joined.toSorted((a, b) => Number(b.type === "user") - Number(a.type === "user"))) {
    // As long as we may: it takes rights over the machine.
    if (type === "user") addRlimits(steps, { rlimits: (spec.process?.rlimits ?? []).map(rlimitCall) });
    joinNamespace(steps, { type, fd });
    if (type === "user") changeIds(steps, { uid: 0, gid: 0, groups: [] });
  }
  if (unshared.length > 0) {
    steps.call("unshare", [cloneFlags(unshared)], { label: `make ${unshared.join(", ")} namespace` });
  }
  const stage2 = unshared.includes("pid") ? addStage2(steps, channel, []) : first;
  // After the child has joined its cgroup, which becomes the root of the namespace.
  if (fresh.has("cgroup")) steps.call("unshare", [NAMESPACES.cgroup], { label: "make cgroup namespace" });
  if (fresh.has("time")) addTimeNamespace(steps, plan);
  if (fresh.has("network")) bringLoopbackUp(steps);
  const { hostname, domainname } = spec;
  if (hostname) steps.call("sethostname", [hostname, byteLength(hostname)], { label: `set hostname ${hostname}` });
  if (domainname) {
    steps.call("setdomainname", [domainname, byteLength(domainname)], { label: `set domainname ${domainname}` });
  }
  return stage2;
}

export function joinNamespace(steps: SyscallProgram, { type, fd }: { type: NamespaceType; fd: number }): void {
  steps.call("setns", [fd, NAMESPACES[NAMESPACE_KINDS[type]]], { label: `join ${type} namespace` });
}

function cloneFlags(types: readonly NamespaceType[]): number {
  return types.reduce((sum, type) => sum | NAMESPACES[NAMESPACE_KINDS[type]], 0);
}

/**
 * Enters a user namespace of its own, with all namespaces made in it. A pid namespace in which others live is joined
 * before, as one of the machine cannot be entered from within; but nobody appears there yet: it takes children only.
 *
 * @returns Where the pid will be of the stage-2 child that goes on instead, if there is one.
 */
function enterFreshUser(steps: SyscallProgram, { bornInStage2, pids, channel }: EarlyInitPlan): Slot | undefined {
  if (pids === undefined) return addStage2(steps, channel, bornInStage2);
  joinNamespace(steps, { type: "pid", fd: pids.fd });
  steps.call("unshare", [cloneFlags(bornInStage2)], { label: `make ${bornInStage2.join(", ")} namespace` });
  return undefined;
}

/** Forks the stage-2 child: a process that makes a pid namespace stays outside, so its child goes on instead. */
function addStage2(steps: SyscallProgram, channel: Channel, born: readonly NamespaceType[]): Slot {
  const stage2 = forkStage2(steps, { flags: cloneFlags(born) });
  channel.addStop(steps, "stage2");
  return stage2;
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** In another user namespace its parent moves the clocks: what is in /proc of a closed process is the machine's root's. */
function addTimeNamespace(steps: SyscallProgram, { spec, fresh, joined, channel }: EarlyInitPlan): void {
  const offsets = formatTimeOffsets(spec.linux?.timeOffsets ?? {});
  steps.call("unshare", [NAMESPACES.time], { label: "make time namespace" });
  if (offsets.length === 0) return;
  if (fresh.has("user") || joinsUser(joined)) return channel.addStop(steps, "clocks");
  for (const { clock, line } of offsets) {
    writeFile(steps, "/proc/self/timens_offsets", { content: line, label: `set offset of clock ${clock}` });
  }
}

function bringLoopbackUp(steps: SyscallProgram): void {
  const [AF_INET, SOCK_DGRAM_CLOEXEC, SIOCSIFFLAGS, IFF_UP_RUNNING] = [2, 0o2000002, 0x8914, 0x41];
  const request = new Uint8Array(40); // struct ifreq
  request.set(new TextEncoder().encode("lo"));
  request[16] = IFF_UP_RUNNING;
  const socket = steps.slot();
  steps.call("socket", [AF_INET, SOCK_DGRAM_CLOEXEC, 0], { label: "bring loopback up", result: socket });
  steps.call("ioctl", [socket, SIOCSIFFLAGS, request], { label: "bring loopback up" });
  steps.close(socket);
}

/**
 * Our mounts must not follow the container's. They do if the root shall be shared: then volumes of the container can be
 * seen by others, and only the mount that holds the root file system is cut off, as pivot_root(2) wants.
 */
export function setPropagation(steps: SyscallProgram, { spec, fresh, rootfsMountPoint }: EarlyInitPlan): void {
  // Mounts of others are not ours to change.
  if (!fresh.has("mount")) return;
  const word = spec.linux?.rootfsPropagation;
  const isShared = word?.endsWith("shared");
  const flags = isShared ? MS.SHARED | MS.REC : MS.SLAVE | MS.REC;
  steps.call("mount", [null, "/", null, flags, null], { label: "set propagation of all mounts" });
  if (!isShared) return;
  const mountPoint = rootfsMountPoint();
  steps.call("mount", [null, mountPoint, null, MS.PRIVATE, null], { label: `make ${mountPoint} private` });
}
