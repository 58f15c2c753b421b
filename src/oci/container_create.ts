/** Making a container: its cgroup, its directory, and its first process, parked before its program. @module */
import { KataError } from "../base/error.ts";
import { verifyId } from "../base/id.ts";
import type { Logger } from "../base/log.ts";
import { type CgroupEntrance, type CgroupLayout, entranceOf } from "../linux/cgroup.ts";
import type { NamespaceFlag, StartOptions } from "../linux/clone.ts";
import { Fd, O_DIRECTORY, O_PATH, O_RDONLY, O_RDWR, O_WRONLY, pipe } from "../linux/fd.ts";
import { isErrno } from "../linux/errno.ts";
import { makeFifo } from "../linux/fifo.ts";
import { MS } from "../linux/mount_options.ts";
import { findMount, readMountInfo } from "../linux/mountinfo.ts";
import { enterNamespace } from "../linux/namespace.ts";
import { forbidInspection, readProcessStat } from "../linux/process.ts";
import type { Child } from "../linux/child.ts";
import { SyscallProgram } from "../linux/syscall_program.ts";
import { type Cgroup, cgroupPath, openCgroup } from "./cgroup/cgroup.ts";
import { NoCgroup } from "./cgroup/none.ts";
import { Channel } from "./channel.ts";
import { preservedFds, type Stdio, stdioPlacements } from "./child_setup.ts";
import { ContainerProcess } from "./container_process.ts";
import { planDevices } from "./devices.ts";
import { guide, hasCreateHooks, ociState, type Parked, takeMaster } from "./guide.ts";
import { tryHooks } from "./hooks.ts";
import { addBirth, addInit, type BirthPlan } from "./init.ts";
import { openMappedTree, openSpareTree } from "./idmap.ts";
import { isMapped, planMounts, type PlannedMount } from "./mount_plan.ts";
import { type BirthNamespace, birthNamespaces, joinsUser, type NamespacePlan, planNamespaces } from "./namespaces.ts";
import { planProcess } from "./process_plan.ts";
import type { NamespaceType, Spec } from "./spec.ts";
import { livePid, StateDirectory, type StoredState } from "./state.ts";
import { Steps } from "./steps.ts";
import { openScope, type Scope, stopScope } from "./systemd/scope.ts";
import { validate } from "./validate.ts";

/** Where containers live: values, so that tests have a place of their own. */
export interface Home {
  /** One directory per container is made in it, mode 0700. */
  stateRoot: string;
  cgroups: CgroupLayout;
  /** systemd makes the cgroup of a new container. Those that exist know by themselves. */
  systemd?: boolean;
  /** A new container whose cgroup we may not make goes without one, unless its configuration names it. */
  rootless?: boolean;
  log?: Logger;
}

/** A container to be made. */
export interface CreateOptions extends Home {
  /** Names the state directory as well: see `base/id.ts`. */
  id: string;
  /** Absolute. */
  bundle: string;
  spec: Spec;
  stdio?: Stdio;
  /** The whole machine is the container's sandbox, as a guest is: parameters of shared namespaces may be set too. */
  ownsMachine?: boolean;
  /** The root of the machine is an initramfs, which pivot_root(2) refuses. */
  noPivotRoot?: boolean;
  /** Share our session keyring, where the kernel's limit on keyrings is tight. */
  noNewKeyring?: boolean;
  /** Descriptors from 3 on that the container inherits. */
  preserveFds?: number;
  /** Called once the state directory is there, with its path: what mounts take from it can be made now. */
  prepare?: (stateDirectory: string) => void;
  /** The first process outlives us: see {@linkcode ContainerProcess}. */
  detached?: boolean;
}

/** A container in this program's hands. */
export interface ContainerParts {
  home: Home;
  directory: StateDirectory;
  stored: StoredState;
  cgroup: Cgroup;
  /** Undefined if another program made it. */
  init: ContainerProcess | undefined;
}

/** @throws {Error} Naming what failed; nothing is left behind. */
export async function createContainer(options: CreateOptions): Promise<ContainerParts> {
  const { id, spec, log } = options;
  verifyId(id);
  validate(spec, options);
  checkKernel(spec);
  // Who has not root's rights writes the maps of a user namespace through /proc, where a process that may not be looked
  // into belongs to root. Nobody but that user could look anyway: the container has no process yet.
  if (Deno.uid() === 0) forbidInspection();
  await using undo = new AsyncDisposableStack();
  const directory = new StateDirectory(options.stateRoot, id);
  directory.create();
  undo.defer(() => directory.remove());
  using _lock = await directory.lock();
  options.prepare?.(directory.path);
  const scope = options.systemd ? await openScope(spec.linux?.cgroupsPath, id) : undefined;
  const stored = newState(options, scope);
  // At the end of all: hooks that have made something take it away again.
  undo.defer(() =>
    stored.pid > 0 ? tryHooks("poststop", spec.hooks, { state: ociState(stored, "stopped"), log }) : undefined
  );
  directory.write(stored);
  makeFifo(directory.execFifo, 0o600);
  const cgroup = takeCgroup(options, stored, undo);
  using birth = bearInit({ options, stored, directory, cgroup });
  undo.use(birth.child);
  const parked = planRest(birth);
  const remember = (child: Child) => {
    stored.pid = child.pid;
    stored.startTime = readProcessStat(stored.pid)?.startTime ?? 0n;
    directory.write(stored);
  };
  remember(parked.child);
  const onHeir = (heir: Child) => remember(undo.use(heir));
  await guide(parked, { onHeir, stored, cgroup, rootless: options.rootless });
  const console = parked.master && takeMaster(parked.child, parked.master);
  undo.move();
  return { home: options, directory, stored, cgroup, init: new ContainerProcess(parked.child, console, options) };
}

/** Makes the container's group, unless systemd is to. */
function takeCgroup(options: CreateOptions, stored: StoredState, undo: AsyncDisposableStack): Cgroup {
  const { cgroups, rootless = false, spec } = options;
  const cgroup = openCgroup(cgroups, stored.cgroupPath);
  if (!cgroup.exists()) {
    undo.defer(() => cgroup.remove());
    undo.defer(() => cgroup.kill());
  }
  const { scope } = stored;
  if (scope !== undefined) {
    undo.defer(() => stopScope(scope));
    return cgroup;
  }
  try {
    cgroup.create();
    return cgroup;
  } catch (error) {
    const mayGoWithout = rootless && !spec.linux?.cgroupsPath &&
      isErrno((error as Error).cause, "EACCES", "EPERM", "EROFS");
    if (!mayGoWithout) throw error;
    stored.cgroupPath = "";
    return cgroupOf(cgroups, stored);
  }
}

/** The group of a container that exists. */
export function cgroupOf(cgroups: CgroupLayout, stored: StoredState): Cgroup {
  if (stored.cgroupPath !== "") return openCgroup(cgroups, stored.cgroupPath);
  return new NoCgroup(cgroups, () => livePid(stored));
}

/** Before 6.2, a program did not enter the time namespace that its process had made, and nothing said so. */
function checkKernel({ linux }: Spec): void {
  const [major = 0, minor = 0] = Deno.osRelease().split(".").map(Number);
  const isOld = major < 6 || (major === 6 && minor < 2);
  if (!isOld || !linux?.namespaces?.some(({ type }) => type === "time")) return;
  throw new KataError(
    "FAILED_PRECONDITION",
    `Cannot make a time namespace: Linux ${Deno.osRelease()} is older than 6.2`,
  );
}

function newState({ id, bundle, spec, noNewKeyring = false }: CreateOptions, scope: Scope | undefined): StoredState {
  return {
    id,
    pid: 0,
    startTime: 0,
    bundle,
    rootfs: findRootfs(bundle, spec.root?.path ?? ""),
    created: new Date().toISOString(),
    cgroupPath: scope?.cgroupPath ?? cgroupPath(spec.linux?.cgroupsPath, id),
    ...(scope && { scope }),
    noNewKeyring,
    spec,
  };
}

function findRootfs(bundle: string, path: string): string {
  const absolute = path.startsWith("/") ? path : `${bundle}/${path}`;
  try {
    const real = Deno.realPathSync(absolute);
    if (!Deno.statSync(real).isDirectory) throw new TypeError("it is not a directory");
    return real;
  } catch (cause) {
    throw new KataError("INVALID_ARGUMENT", `Cannot use root file system "${absolute}"`, { cause });
  }
}

interface Making {
  options: CreateOptions;
  stored: StoredState;
  cgroup: Cgroup;
  directory: StateDirectory;
}

const CLONE_FLAGS: Partial<Record<NamespaceType, NamespaceFlag>> = {
  user: "newuser",
  mount: "newns",
  uts: "newuts",
  ipc: "newipc",
  network: "newnet",
  pid: "newpid",
};

/** The first process while it does its first steps. Disposing it ends the talk, not the process. */
interface Birth extends Disposable {
  making: Making;
  child: Child;
  program: SyscallProgram;
  steps: Steps;
  plan: BirthPlan;
  mounts: readonly PlannedMount[] | undefined;
  /** Where the child waits for the rest of its steps. */
  planned: Fd;
}

/** The kernel is slow to make namespaces: the child does that by itself, while we plan its mounts. */
function bearInit(making: Making): Birth {
  const { options: { spec }, stored: { scope }, cgroup } = making;
  using undo = new DisposableStack();
  using ours = new DisposableStack();
  const channel = undo.use(new Channel());
  const planned = undo.use(pipe());
  const open: Open = (path, flags) => ours.use(Fd.open(path, flags));
  const namespaces = planNamespaces(spec.linux?.namespaces);
  const { born, unshared } = partNamespaces(namespaces);
  const entrance = entranceOf(scope === undefined ? cgroup.procsFiles() : []);
  const isOther = namespaces.fresh.has("user") || joinsUser(namespaces.joined);
  const mounts = isOther || (spec.mounts ?? []).some(isMapped)
    ? mountsOf(making, namespaces).map((one) => openTrees(one, { isOther, ours }))
    : undefined;
  const plan = planBirth(making, {
    namespaces,
    unshared,
    entrance,
    channel,
    planned: planned.read.number,
    open,
    mounts,
  });
  const program = undo.use(new SyscallProgram());
  const steps = new Steps(program);
  const successor = addBirth(steps, plan);
  const pidPath = namespaces.joined.find(({ type }) => type === "pid")?.path;
  const child = beginIn(birthNamespaces(namespaces), program, {
    flags: born.flatMap((type) => CLONE_FLAGS[type] ?? []),
    successor,
    ...(pidPath && { pidNamespace: open(pidPath, O_RDONLY) }),
    ...(entrance.birthplace && { intoCgroup: open(entrance.birthplace, O_PATH | O_DIRECTORY) }),
  });
  channel.started();
  planned.read[Symbol.dispose]();
  const owned = undo.move();
  return {
    making,
    child,
    program,
    steps,
    plan,
    mounts,
    planned: planned.write,
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/**
 * All namespaces belong to the user namespace that they are made with; that of pids is for those who are born in it. In a
 * user namespace that the child joins, this is an heir. The message queues of one of IPC belong to the user who makes it,
 * which in a new user namespace the child is only once it has its ids.
 */
function partNamespaces({ fresh, joined }: NamespacePlan): { born: NamespaceType[]; unshared: NamespaceType[] } {
  const all = [...fresh].filter((type) => type in CLONE_FLAGS);
  const isBorn = (type: NamespaceType) => fresh.has("user") ? type !== "ipc" : type === "pid" && !joinsUser(joined);
  return { born: all.filter(isBorn), unshared: all.filter((type) => !isBorn(type)) };
}

function beginIn(births: readonly BirthNamespace[], program: SyscallProgram, options: StartOptions): Child {
  using inside = new DisposableStack();
  for (const { type, kind, path } of births) {
    try {
      inside.use(enterNamespace(kind, path));
    } catch (cause) {
      throw new Error(`Cannot join ${type} namespace "${path}"`, { cause });
    }
  }
  return program.begin(options);
}

/** Opens something for the child; we close it once the child has it. */
type Open = (path: string, flags: number) => Fd;

interface PlanBirthOptions {
  namespaces: NamespacePlan;
  unshared: readonly NamespaceType[];
  entrance: CgroupEntrance;
  channel: Channel;
  planned: number;
  open: Open;
  mounts: readonly PlannedMount[] | undefined;
}

function planBirth(
  { options, stored: { rootfs, scope }, directory }: Making,
  { namespaces, unshared, entrance, channel, planned, open, mounts = [] }: PlanBirthOptions,
): BirthPlan {
  const { id, spec, stdio: given = {}, preserveFds } = options;
  const births = birthNamespaces(namespaces);
  const { fresh, joined } = namespaces;
  const joinedFds = joined.filter(({ type }) => type !== "pid" && !births.some((one) => one.type === type)).map((
    { type, path },
  ) => ({
    type,
    fd: open(path, O_RDONLY).number,
  }));
  const cgroupProcs = entrance.files.map((path) => open(path, O_WRONLY).number);
  const execFifo = open(directory.execFifo, O_RDWR).number;
  const stdio = stdioPlacements(given);
  const trees = mounts.flatMap((one) => one.kind === "bind" ? [one.tree, one.spare] : []).filter((fd) =>
    fd !== undefined
  );
  return {
    id,
    spec,
    rootfs,
    rootfsMountPoint: () => findMount(readMountInfo(), rootfs)?.mountPoint ?? "/",
    fresh,
    unshared,
    joined: joinedFds,
    cgroupProcs,
    waitsForScope: scope !== undefined,
    channel,
    planned,
    execFifo,
    stdio,
    preserveFds,
    noNewKeyring: options.noNewKeyring ?? false,
    maySetGroups: Deno.uid() === 0 || !fresh.has("user"),
    kept: [
      ...trees,
      ...channel.childFds.map(({ number }) => number),
      planned,
      execFifo,
      ...joinedFds.map(({ fd }) => fd),
      ...cgroupProcs,
      ...stdio.map(({ fd }) => fd).filter((fd) => typeof fd === "number"),
      ...preservedFds(preserveFds),
    ],
  };
}

/** Gives the child the rest of its steps, and lets it go on. */
function planRest({ making, child, program, steps, plan, mounts, planned }: Birth): Parked {
  const { options, stored: { rootfs } } = making;
  const { spec } = options;
  const all = mounts ?? mountsOf(making, plan);
  const binds = all.filter((one) => one.kind === "bind");
  const result = addInit(steps, {
    ...plan,
    process: planProcess(spec.process!, { linux: spec.linux, rootfs, binds, log: options.log }),
    mounts: all,
    devices: planDevices(spec.linux?.devices),
    waitsForHooks: hasCreateHooks(spec),
    noPivotRoot: options.noPivotRoot ?? false,
  });
  program.complete();
  try {
    planned.write(new Uint8Array(1));
  } catch (error) {
    // A first step has failed, as whoever waits for the child will learn.
    if (!isErrno(error, "EPIPE")) throw error;
  }
  return { child, channel: plan.channel, ...result };
}

function mountsOf(
  { options, stored: { rootfs }, cgroup }: Making,
  { fresh }: Pick<NamespacePlan, "fresh">,
): PlannedMount[] {
  const { spec, bundle, cgroups: layout } = options;
  const cgroupMount = { layout, paths: cgroup.paths, hasNamespace: fresh.has("cgroup") };
  return planMounts(spec.mounts ?? [], { rootfs, bundle, cgroup: cgroupMount, linux: spec.linux });
}

/** Opens what the child cannot: `isOther` if it is another user than we are. */
function openTrees(
  planned: PlannedMount,
  { isOther, ours }: { isOther: boolean; ours: DisposableStack },
): PlannedMount {
  if (planned.kind !== "bind") return planned;
  const { source, maps, options } = planned;
  const copiesBelow = (options.flags & MS.REC) !== 0;
  if (maps !== undefined) {
    const mapsBelow = options.idmap === "ridmap";
    return { ...planned, tree: ours.use(openMappedTree(source, { maps, copiesBelow, mapsBelow })).number };
  }
  const spare = isOther && Deno.uid() === 0 ? openSpareTree(source, { copiesBelow }) : undefined;
  return spare === undefined ? planned : { ...planned, spare: ours.use(spare).number };
}
