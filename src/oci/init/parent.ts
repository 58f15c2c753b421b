/** Serves a container's first process from its parent until it waits for its start: order in `channel.ts`. @module */
import type { Child } from "../../linux/child_program/child.ts";
import { joinCgroup } from "../../linux/cgroup/cgroup.ts";
import { setRlimit, setScheduler } from "../../linux/process/process.ts";
import type { Cgroup } from "../cgroup/cgroup.ts";
import type { Channel, Message } from "./channel.ts";
import { type CopyUp, copyUp } from "../mount/copy_up.ts";
import { deviceRules } from "../mount/devices.ts";
import { type Await, type Patience, waitFor, waitPatiently } from "./held.ts";
import { FilterTalk } from "./filter_talk.ts";
import { runHooks } from "../hooks/hooks.ts";
import { writeIdMaps } from "../mount/idmap.ts";
import type { InitResult } from "./plan.ts";
import { writeTimeOffsets } from "./clocks.ts";
import { differingNamespaces } from "./namespaces.ts";
import { rlimitCall } from "./rlimits.ts";
import { schedulerAttributes } from "./scheduling.ts";
import { verifyProc } from "../mount/proc_mount.ts";
import type { Resources, Spec } from "../spec/spec.ts";
import { ociState, type StoredState } from "../container/state.ts";
import { startScope } from "../cgroup/systemd/scope_manager.ts";

/** The first process while its parent serves it. */
export interface CreatedInit extends InitResult {
  child: Child;
  channel: Channel;
  /** Where it has a proc that others could have exchanged: see `proc_mount.ts`. */
  procs: readonly string[];
  /** Whether processes of another container are in its pid namespace. */
  isLivedIn: boolean;
  /** The child, and one that is to take its place. */
  pids: () => readonly number[];
}

/** The container that the process is to be the first of. */
export interface ServedInit {
  /** To be told of the process that has taken the child's place. */
  onStage2: (stage2: Child) => void;
  stored: StoredState;
  cgroup: Cgroup;
  /** Skips the rules for devices: a user who may not make device nodes may not load rules for them, and needs none. */
  rootless?: boolean | undefined;
  patience?: Patience | undefined;
}

/** Answers the child until it waits for its start. */
export async function serveInit(created: CreatedInit, init: ServedInit): Promise<void> {
  const { channel } = created;
  const { stored } = init;
  await using filterTalk = new FilterTalk(channel, { stored, status: "creating" });
  const limit = limiter(init);
  const wait = chooseWait(created, init);
  const copies = created.copies.values();
  for (;;) {
    const message = await channel.receive(wait);
    if (message === undefined) {
      await filterTalk[Symbol.asyncDispose]();
      await created.child.executed({ until: (end) => wait(end, "tell why it ended") });
      throw new Error(`Cannot create container "${stored.id}": its first process was killed`);
    }
    if (message === "created") {
      limitProcess(created.child.pid, stored.spec);
      for (const destination of created.procs) verifyProc(created.child.pid, destination);
      limit();
      return schedule(created.child.pid, stored.spec);
    }
    if (message === "stage2") {
      await filterTalk.resume();
      init.onStage2(created.child = created.child.succeed());
      await filterTalk.handOverHeld(created.child.pid);
    }
    await filterTalk.answer(message, created.child);
    await help(message, created, { init, copies, limit });
    channel.release();
  }
}

/** A process in a pid namespace of its own is nobody's to hold, and its mounts take as long as they take. */
function chooseWait(created: CreatedInit, { stored: { id, spec }, patience }: ServedInit): Await {
  const hasOwnPids = spec.linux?.namespaces?.some(({ type, path }) => type === "pid" && !path) ?? false;
  if (hasOwnPids) return waitFor;
  const task = `create container "${id}"`;
  return waitPatiently({ patience, task, pids: () => created.pids(), isPaused: () => false });
}

/** Does what takes rights that the child has not, or what it cannot do by system calls alone. */
async function help(
  message: Message,
  { child, channel, isLivedIn }: CreatedInit,
  { init, copies, limit }: { init: ServedInit; copies: Iterator<CopyUp>; limit: () => void },
): Promise<void> {
  const { stored, stored: { spec } } = init;
  if (message === "scope") await enterScope(child.pid, init);
  if (message === "maps") {
    const { uidMappings = [], gidMappings = [] } = spec.linux ?? {};
    writeIdMaps(child.pid, { uidMappings, gidMappings });
  }
  if (message === "clocks") writeTimeOffsets(child.pid, spec.linux?.timeOffsets ?? {});
  if (message === "copyUp") {
    using taken = new DisposableStack();
    const [from, to, image] = [1, 2, 3].map(() => taken.use(channel.takeHandedOver()));
    copyUp(copies.next().value!, { from, to, image });
  }
  if (message === "hooks") {
    // Limits come first, as hooks are there to change what the engine has made.
    limit();
    await runCreateHooks(child, { stored, isLivedIn });
  }
}

/**
 * In a user namespace of its own the child is not root of the machine, which raising a limit takes. At the end, as its
 * steps may need more descriptors and memory than its program is to have.
 */
function limitProcess(pid: number, { linux, process }: Spec): void {
  const isOther = linux?.namespaces?.some(({ type, path }) => type === "user" && !path);
  if (isOther) { for (const limit of (process?.rlimits ?? []).map(rlimitCall)) setRlimit(pid, limit); }
}

/** Now that its group has what it is to have: a process of real time takes a share of its group's. */
function schedule(pid: number, { process }: Spec): void {
  if (process?.scheduler) setScheduler(pid, schedulerAttributes(process.scheduler));
}

/** @returns What sets the container's limits, once. */
function limiter(init: ServedInit): () => void {
  const resources = resourcesOf(init);
  let isLimited = false;
  return () => {
    if (resources !== undefined && !isLimited) init.cgroup.apply(resources);
    isLimited = true;
  };
}

/** Has systemd make the unit around the process, which then joins the hierarchies that systemd leaves alone. */
async function enterScope(pid: number, init: ServedInit): Promise<void> {
  const { stored: { id, scope, spec }, cgroup } = init;
  const resources = resourcesOf(init);
  await startScope(scope!, pid, { id, resources, annotations: spec.annotations ?? {} });
  cgroup.create();
  for (const file of cgroup.procsFiles()) joinCgroup(file.slice(0, file.lastIndexOf("/")), pid);
}

/** B6: without resources nothing is set. */
function resourcesOf({ stored: { spec: { linux } }, rootless }: ServedInit): Resources | undefined {
  if (linux?.resources === undefined) return undefined;
  const { devices, ...rest } = linux.resources;
  return rootless ? rest : { ...rest, devices: deviceRules(devices) };
}

/** Whether there is something to stop for before the root is changed. */
export function hasCreateHooks({ hooks = {} }: Spec): boolean {
  return [hooks.prestart, hooks.createRuntime, hooks.createContainer].some((list) => (list ?? []).length > 0);
}

async function runCreateHooks(
  { pid, pidfd }: Child,
  { stored, isLivedIn }: { stored: StoredState; isLivedIn: boolean },
): Promise<void> {
  const state = ociState(stored, "creating");
  await runHooks("prestart", stored.spec.hooks, { state });
  await runHooks("createRuntime", stored.spec.hooks, { state });
  // Where runc starts them: `ldconfig -r .` means the container's files.
  // Not among processes that may trace: a hook has all rights, and the machine's root still.
  const namespaces = differingNamespaces(pid).filter((type) => type !== "pid" || !isLivedIn);
  const inside = { pid, pidfd, namespaces, cwd: stored.rootfs };
  await runHooks("createContainer", stored.spec.hooks, { state, inside });
}
