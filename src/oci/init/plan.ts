/** Plan of the first process of a container, made before the process exists. @module */
import type { ChildFd } from "../../linux/child_program/calls.ts";
import type { Channel } from "./channel.ts";
import type { CopyUp } from "../mount/copy_up.ts";
import type { DeviceNode } from "../mount/devices.ts";
import type { PlannedMount } from "../mount/planned.ts";
import type { LivedInPids } from "../mount/proc_mount.ts";
import type { ProcessPlan } from "./process_plan.ts";
import type { NamespaceType, Spec } from "../spec/spec.ts";

/** Decisions made before the child exists. */
export interface EarlyInitPlan {
  id: string;
  spec: Spec;
  /** Absolute. */
  rootfs: string;
  /** Finds where `rootfs` is mounted: what must not be shared for pivot_root(2). */
  rootfsMountPoint: () => string;
  fresh: ReadonlySet<NamespaceType>;
  /** Kinds of namespaces made by the clone of the stage-2 child, not of the child itself. */
  bornInStage2: readonly NamespaceType[];
  /** Kinds of namespaces that the child makes for itself with unshare(2), as its clone did not. */
  unshared: readonly NamespaceType[];
  /** The pid namespace to join, in which others live: the child appears there when it has no more rights than they. */
  pids: LivedInPids | undefined;
  /** The other namespaces to join, by their descriptors' numbers. */
  joined: readonly { type: NamespaceType; fd: number }[];
  /** Numbers of the `cgroup.procs` files of the container, open for writing. */
  cgroupProcs: readonly number[];
  /** The parent puts it into a cgroup, of which there is none yet. */
  waitsForScope: boolean;
  channel: Channel;
  /** A byte in it says that the other steps are there. A number, as the next. */
  planned: number;
  /** A byte in it lets the container start. Open for reading and writing, so that the child never sees its end. */
  execFifo: number;
  /** The socket that the master of its terminal goes over, if it has one. */
  terminal: number | undefined;
  /** Of its terminal: see `console.ts`. */
  keepsLineEnds: boolean | undefined;
  stdio: readonly ChildFd[];
  preserveFds: number | undefined;
  noNewKeyring: boolean;
  /** False in a user namespace of an unprivileged user, who must give up that right to map a group. */
  maySetGroups: boolean;
  /** The numbers of all descriptors that the child is to find, but 0 to 2. */
  kept: readonly number[];
}

export interface InitPlan extends EarlyInitPlan {
  process: ProcessPlan;
  mounts: readonly PlannedMount[];
  devices: readonly DeviceNode[];
  waitsForHooks: boolean;
  /** Kernel file systems to move out of the old root: see `change_root.ts`. */
  moved: readonly string[] | undefined;
}

/** Results that the child hands to its parent. */
export interface InitResult {
  /** One for each "copyUp" that the child reports, in this order. */
  copies: readonly CopyUp[];
}
