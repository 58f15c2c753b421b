/** Making a container: its cgroup, its directory, and its first process, which waits before its program. @module */
import { KataError } from "../../base/error.ts";
import { verifyEngineId } from "../../base/id.ts";
import type { CgroupLayout } from "../../linux/cgroup/cgroup.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { makeFifo } from "../../linux/io/fifo.ts";
import { forbidInspection, readProcessStat } from "../../linux/process/process.ts";
import type { Child } from "../../linux/child_program/child.ts";
import { completeInit, startInit } from "../init/launch.ts";
import { openCgroup } from "../cgroup/open.ts";
import { type Cgroup, cgroupPath } from "../cgroup/cgroup.ts";
import { NoCgroup } from "../cgroup/none.ts";
import { ContainerProcess } from "./process.ts";
import { tellingNamespace } from "./marks.ts";
import { endMembers, removeCgroups } from "./members.ts";
import { foreignOf } from "./neighbours.ts";
import { receiveMaster } from "../init/console.ts";
import { serveInit } from "../init/parent.ts";
import { runPoststopHooks } from "../hooks/hooks.ts";
import { mountsOn, ownsMounts, releaseMounts } from "./shared_mounts.ts";
import { livePid, ociState, StateDirectory, type StoredState } from "./state.ts";
import { staysFrozen } from "./stillness.ts";
import type { Scope } from "../cgroup/systemd/scope.ts";
import { openScope, stopScope } from "../cgroup/systemd/scope_manager.ts";
import { checkKernel } from "../spec/kernel.ts";
import { validate } from "../spec/validate.ts";
import type { ContainerParts, CreateOptions } from "./create_options.ts";

/** @throws {Error} Naming what failed; nothing is left behind. */
export async function createContainer(options: CreateOptions): Promise<ContainerParts> {
  const { id, spec, log } = options;
  verifyEngineId(id);
  validate(spec, options);
  checkKernel(spec);
  // Root only: a plain user writes the maps of a user namespace through /proc, where a process closed to inspection
  // belongs to root. Nobody but that user could inspect it anyway: the container has no process yet.
  if (Deno.uid() === 0) forbidInspection();
  await using undo = new AsyncDisposableStack();
  const directory = new StateDirectory(options.stateRoot, id);
  directory.create();
  undo.defer(() => directory.remove());
  using _lock = await directory.lock();
  options.prepare?.(directory.path);
  const scope = options.systemd ? await openScope(spec.linux?.cgroupsPath, id) : undefined;
  const stored = newState(options, scope);
  if (!ownsMounts(spec)) stored.mountsBefore = mountsOn(stored.rootfs);
  undo.defer(() => releaseMounts(stored));
  // At the end of all: hooks that have made something take it away again.
  undo.defer(() =>
    stored.pid > 0 ? runPoststopHooks(spec.hooks, { state: ociState(stored, "stopped"), log }) : undefined
  );
  const parts = { home: options, directory, stored, cgroup: markForeign(options, stored), init: undefined };
  directory.write(stored);
  makeFifo(directory.earlyFifo, 0o600);
  const cgroup = await takeCgroup(options, parts, undo);
  using launch = startInit({ options, stored, directory, cgroup });
  undo.use(launch.child);
  boundProcesses(options, stored, cgroup);
  const created = completeInit(launch);
  const remember = (child: Child) => {
    stored.pid = child.pid;
    stored.startTime = readProcessStat(stored.pid)?.startTime ?? 0n;
    directory.write(stored);
  };
  remember(created.child);
  const onStage2 = (stage2: Child) => remember(undo.use(stage2));
  log?.debug(`started first process ${created.child.pid} of container ${id}`);
  await serveInit(created, { onStage2, stored, cgroup, rootless: options.rootless, patience: options.patience });
  const telling = tellingNamespace(stored.pid, spec);
  if (telling !== undefined) directory.write(Object.assign(stored, telling));
  const console = launch.terminal && await receiveMaster(launch.terminal);
  directory.finish();
  undo.move();
  return { home: options, directory, stored, cgroup, init: new ContainerProcess(created.child, console, options) };
}

/** Opens the container's group, and notes down where somebody else has made it: before there is anything to undo. */
function markForeign({ cgroups, stateRoot }: CreateOptions, stored: StoredState): Cgroup {
  const cgroup = openCgroup(cgroups, stored.cgroupPath);
  const foreign = stored.scope === undefined ? foreignOf(stored, cgroup.present(), stateRoot) : [];
  if (foreign.length > 0) stored.foreignCgroups = foreign;
  return cgroup;
}

/** Makes the container's group, unless systemd is to. */
async function takeCgroup(options: CreateOptions, parts: ContainerParts, undo: AsyncDisposableStack): Promise<Cgroup> {
  const { cgroups, rootless = false, spec } = options;
  const { cgroup, stored, stored: { scope } } = parts;
  undo.defer(() => removeCgroups(parts));
  undo.defer(() => endMembers(parts));
  if (scope !== undefined) {
    undo.defer(() => stopScope(scope));
    return cgroup;
  }
  try {
    cgroup.create();
    await refuseFrozen(parts);
    return cgroup;
  } catch (error) {
    const mayGoWithout = rootless && !spec.linux?.cgroupsPath &&
      isErrno((error as Error).cause, "EACCES", "EPERM", "EROFS");
    if (!mayGoWithout) throw error;
    stored.cgroupPath = "";
    return cgroupOf(cgroups, stored);
  }
}

/** Refuses a frozen group: whoever joins it stands still, and cannot even be killed on v1. */
async function refuseFrozen(parts: ContainerParts): Promise<void> {
  const { id, cgroupPath } = parts.stored;
  if (!await staysFrozen(parts)) return;
  throw new KataError(
    "FAILED_PRECONDITION",
    `Cannot create container "${id}" in "/${cgroupPath}": container's cgroup unexpectedly frozen`,
  );
}

/** More than a container's first process and those that it starts for itself. */
const MOST_AT_CREATE = 8;

/** Limits the number of processes before any of them appears among others, who may trace it and have it fork. */
function boundProcesses({ spec: { linux }, rootless }: CreateOptions, stored: StoredState, cgroup: Cgroup): void {
  const isLivedIn = linux?.namespaces?.some(({ type, path }) => type === "pid" && path) ?? false;
  const limit = linux?.resources?.pids?.limit ?? 0;
  // systemd's have their own limit from the beginning, and a group that was there is not ours yet.
  const isOthers = stored.scope !== undefined || stored.foreignCgroups !== undefined;
  if (!isLivedIn || limit <= 0 || rootless || isOthers) return;
  cgroup.apply({ pids: { limit: Math.max(Number(limit), MOST_AT_CREATE) } });
}

/** The group of a container that exists. */
export function cgroupOf(cgroups: CgroupLayout, stored: StoredState): Cgroup {
  if (stored.cgroupPath !== "") return openCgroup(cgroups, stored.cgroupPath);
  return new NoCgroup(cgroups, () => livePid(stored));
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
