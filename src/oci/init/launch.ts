/**
 * Launches a container's first process. The process begins with steps that take no plan of the mounts, and gets the
 * rest when that plan is made: read {@linkcode startInit}, then {@linkcode completeInit}.
 *
 * @module
 */
import { cgroupJoinTarget } from "../../linux/cgroup/cgroup.ts";
import { startIn } from "../../linux/cgroup/refusal.ts";
import type { Child } from "../../linux/child_program/child.ts";
import type { StartOptions } from "../../linux/child_program/start.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_DIRECTORY, O_PATH, pathOf, pipe } from "../../linux/io/fd.ts";
import { MS } from "../../linux/mount/mount_options.ts";
import { readMountInfo } from "../../linux/mount/mountinfo.ts";
import { enterNamespace } from "../../linux/process/namespace.ts";
import { socketPair } from "../../linux/net/socket.ts";
import type { Slot } from "../../linux/child_program/call.ts";
import { SyscallProgram } from "../../linux/child_program/program.ts";
import { namespaceFlags, type Open, partNamespaces, planEarlyInit } from "./launch_plan.ts";
import { kernelMounts } from "./change_root.ts";
import { Channel } from "./channel.ts";
import { withSpareNodes } from "../mount/device_nodes.ts";
import { type DeviceNode, planDevices } from "../mount/devices.ts";
import { type CreatedInit, hasCreateHooks } from "./parent.ts";
import { openDetachedTree, openMappedTree, openSpareTree } from "../mount/idmap.ts";
import type { EarlyInitPlan } from "./plan.ts";
import { addEarlyInit, addInit } from "./program.ts";
import type { PlannedMount } from "../mount/planned.ts";
import { isMapped, isPart, openSource, planMounts } from "../mount/plan.ts";
import { viewOf } from "../mount/view.ts";
import {
  joinsUser,
  type NamespacePlan,
  namespacesOfParent,
  type ParentNamespace,
  planNamespaces,
} from "./namespaces.ts";
import { planProcess } from "./process_plan.ts";
import { procsOf } from "../mount/proc_mount.ts";
import type { ContainerDraft } from "../container/create_options.ts";

/** The first process while it does its first steps. Disposing it ends the talk, not the process. */
export interface InitLaunch extends Disposable {
  draft: ContainerDraft;
  child: Child;
  program: SyscallProgram;
  /** Where the pid will be of the stage-2 child that takes the child's place, if there is one. */
  stage2: Slot | undefined;
  plan: EarlyInitPlan;
  mounts: readonly PlannedMount[] | undefined;
  devices: readonly DeviceNode[] | undefined;
  /** Where the child waits for the rest of its steps. */
  planned: Fd;
  /** Socket over which the child hands us the master of its terminal, if it has one. */
  terminal: Fd | undefined;
}

/** The kernel is slow to make namespaces: the child does that by itself, while we plan its mounts. */
export function startInit(draft: ContainerDraft): InitLaunch {
  const { options: { spec }, stored: { scope }, cgroup } = draft;
  using undo = new DisposableStack();
  using ours = new DisposableStack();
  const channel = undo.use(new Channel({ handsOver: spec.mounts?.some(({ type }) => type === "tmpfs") ?? false }));
  const planned = undo.use(pipe());
  const open: Open = (path, flags) => ours.use(Fd.open(path, flags));
  const namespaces = planNamespaces(spec.linux?.namespaces);
  const { born, unshared } = partNamespaces(namespaces);
  const entrance = cgroupJoinTarget(scope === undefined ? cgroup.procsFiles() : []);
  const mounts = earlyMounts(draft, { namespaces, ours });
  const devices = earlyDevices(draft, { namespaces, ours });
  const [terminal, terminalSocket] = spec.process?.terminal ? socketPair() : [];
  undo.use(terminal);
  ours.use(terminalSocket);
  const plan = planEarlyInit(draft, {
    namespaces,
    born,
    unshared,
    entrance,
    channel,
    planned: planned.read.number,
    terminal: terminalSocket?.number,
    open,
    mounts,
    devices,
  });
  const program = undo.use(new SyscallProgram({ apart: { keeps: plan.kept } }));
  const stage2 = addEarlyInit(program, plan);
  const { cloneInto } = entrance;
  const start: StartOptions = {
    flags: plan.bornInStage2.length > 0 ? [] : namespaceFlags(born),
    replacement: stage2,
    endMs: draft.options.patience?.endMs,
    ...(cloneInto && { intoCgroup: open(cloneInto, O_PATH | O_DIRECTORY) }),
  };
  const child = startIn(cloneInto, () => beginIn(namespacesOfParent(namespaces), program, start));
  channel.started();
  planned.read[Symbol.dispose]();
  const owned = undo.move();
  return {
    draft,
    child,
    program,
    stage2,
    plan,
    mounts,
    devices,
    planned: planned.write,
    terminal,
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** Plans the mounts early if the child cannot open a source. @returns Undefined: all can wait until the child runs. */
function earlyMounts(
  draft: ContainerDraft,
  { namespaces, ours }: { namespaces: NamespacePlan; ours: DisposableStack },
): PlannedMount[] | undefined {
  const { options, options: { spec } } = draft;
  const isOther = namespaces.fresh.has("user") || joinsUser(namespaces.joined);
  const isEarly = isOther || (spec.mounts ?? []).some((one) => isMapped(one) || isPart(one, options));
  return isEarly ? mountsOf(draft, namespaces).map((one) => openTrees(one, { isOther, ours })) : undefined;
}

/** Plans the devices early if the child may make none. */
function earlyDevices(
  { options: { spec: { linux } }, directory: { path } }: ContainerDraft,
  { namespaces, ours }: { namespaces: NamespacePlan; ours: DisposableStack },
): DeviceNode[] | undefined {
  if (!namespaces.fresh.has("user") && !joinsUser(namespaces.joined)) return undefined;
  return withSpareNodes(planDevices(linux?.devices), { linux, directory: path, ours });
}

function beginIn(namespaces: readonly ParentNamespace[], program: SyscallProgram, options: StartOptions): Child {
  using inside = new DisposableStack();
  for (const { type, kind, path } of namespaces) {
    try {
      inside.use(enterNamespace(kind, path));
    } catch (cause) {
      throw new Error(`Cannot join ${type} namespace "${path}"`, { cause });
    }
  }
  return program.begin(options);
}

/** Gives the child the rest of its steps, and lets it go on. */
export function completeInit(
  { draft, child, program, stage2, plan, mounts, devices, planned }: InitLaunch,
): CreatedInit {
  const { options, stored: { rootfs } } = draft;
  const { spec } = options;
  const all = mounts ?? mountsOf(draft, plan);
  const { root = "", over, mounts: seen } = viewOf(all, rootfs);
  const binds = seen.filter((one) => one.kind === "bind").map((one) => ({ ...one, open: () => openSource(one) }));
  using top = over && openSource(over);
  const result = addInit(program, {
    ...plan,
    process: planProcess(spec.process!, {
      linux: spec.linux,
      rootfs: top ? pathOf(top) : root,
      binds,
      log: options.log,
    }),
    mounts: all,
    devices: devices ?? planDevices(spec.linux?.devices),
    waitsForHooks: hasCreateHooks(spec),
    moved: options.noPivotRoot ? kernelMounts(readMountInfo(), rootfs) : undefined,
  }, stage2);
  program.complete();
  try {
    planned.write(new Uint8Array(1));
  } catch (error) {
    // The child has ended because a step failed; waiting for the child reports that step.
    if (!isErrno(error, "EPIPE")) throw error;
  }
  const isLivedIn = plan.pids !== undefined;
  const created: CreatedInit = {
    child,
    channel: plan.channel,
    procs: isLivedIn ? procsOf(all) : [],
    isLivedIn,
    pids: () => [created.child.pid, stage2?.value ?? 0],
    ...result,
  };
  return created;
}

function mountsOf(
  { options, stored: { rootfs }, cgroup }: ContainerDraft,
  { fresh }: Pick<NamespacePlan, "fresh">,
): PlannedMount[] {
  const { spec, bundle, cgroups: layout, guardSource } = options;
  const cgroupMount = { layout, paths: cgroup.paths, hasNamespace: fresh.has("cgroup") };
  return planMounts(spec.mounts ?? [], { rootfs, bundle, cgroup: cgroupMount, linux: spec.linux, guardSource });
}

/** Opens what the child cannot, or what only we are to look for: `isOther` if it is another user than we are. */
function openTrees(
  planned: PlannedMount,
  { isOther, ours }: { isOther: boolean; ours: DisposableStack },
): PlannedMount {
  if (planned.kind !== "bind") return planned;
  const { maps, options, guard } = planned;
  const copiesBelow = (options.flags & MS.REC) !== 0;
  const isOnlyOurs = guard?.part !== undefined;
  if (maps === undefined && !isOnlyOurs && !(isOther && Deno.uid() === 0)) return planned;
  using source = openSource(planned);
  if (maps !== undefined) {
    const mapsBelow = options.idmap === "ridmap";
    return { ...planned, tree: ours.use(openMappedTree(source, { maps, copiesBelow, mapsBelow })).number };
  }
  if (isOnlyOurs) return { ...planned, tree: ours.use(openDetachedTree(source, { copiesBelow })).number };
  const spare = openSpareTree(source, { copiesBelow });
  return spare === undefined ? planned : { ...planned, spare: ours.use(spare).number };
}
