/** What the parent does while a container's first process goes to its place: see `channel.ts` for the order. @module */
import type { Child } from "../linux/child.ts";
import { joinCgroup } from "../linux/cgroup.ts";
import type { Fd } from "../linux/fd.ts";
import { takeDescriptor } from "../linux/pidfd.ts";
import { setRlimit } from "../linux/process.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import type { Channel } from "./channel.ts";
import { copyUp } from "./copy_up.ts";
import { deviceRules } from "./devices.ts";
import { runHooks } from "./hooks.ts";
import { writeIdMaps } from "./idmap.ts";
import type { InitResult } from "./init.ts";
import { differingNamespaces } from "./namespaces.ts";
import { rlimitCall } from "./rlimits.ts";
import { verifyProc } from "./proc_mount.ts";
import { OCI_VERSION, type Resources, type Spec } from "./spec.ts";
import type { OciState, Status, StoredState } from "./state.ts";
import { startScope } from "./systemd/scope.ts";

/** The first process while it is guided to its place. */
export interface Parked extends InitResult {
  child: Child;
  channel: Channel;
  /** Where it has a proc that others could have exchanged: see `proc_mount.ts`. */
  procs: readonly string[];
}

/** The container that the process is to be the first of. */
export interface Guided {
  /** To be told of the process that has taken the child's place. */
  onHeir: (heir: Child) => void;
  stored: StoredState;
  cgroup: Cgroup;
  /** Whoever may not make device nodes may not load rules for them either, and needs none. */
  rootless?: boolean | undefined;
}

/** Answers the child until it waits for its start. */
export async function guide(parked: Parked, guided: Guided): Promise<void> {
  const { channel, copies } = parked;
  const { stored, stored: { spec }, cgroup } = guided;
  const resources = resourcesOf(guided);
  const waiting = copies.values();
  let isLimited = false;
  const limit = () => {
    if (resources !== undefined && !isLimited) cgroup.apply(resources);
    isLimited = true;
  };
  for (;;) {
    const message = await channel.receive();
    const { child } = parked;
    if (message === undefined) {
      await child.executed();
      throw new Error(`Cannot create container "${stored.id}": its first process was killed`);
    }
    if (message === "created") {
      for (const destination of parked.procs) verifyProc(child.pid, destination);
      return limit();
    }
    if (message === "scope") await enterScope(child.pid, guided);
    if (message === "heir") guided.onHeir(parked.child = child.succeed());
    if (message === "maps") {
      const { uidMappings = [], gidMappings = [] } = spec.linux ?? {};
      writeIdMaps(child.pid, { uidMappings, gidMappings });
      // The child is no longer root of the machine, which raising a limit takes.
      for (const limit of (spec.process?.rlimits ?? []).map(rlimitCall)) setRlimit(child.pid, limit);
    }
    if (message === "copyUp") copyUp(child, waiting.next().value!);
    if (message === "listener") {
      const { pid, pidfd } = child;
      await handOverListener({ pid, pidfd, number: channel.receiveNumber() }, { stored, status: "creating" });
    }
    if (message === "hooks") {
      // Limits come first, as hooks are there to change what the engine has made.
      limit();
      await runCreateHooks(child, stored);
    }
    channel.release();
  }
}

/** Has systemd make the unit around the process, which then joins the hierarchies that systemd leaves alone. */
async function enterScope(pid: number, guided: Guided): Promise<void> {
  const { stored: { id, scope, spec }, cgroup } = guided;
  const resources = resourcesOf(guided);
  await startScope(scope!, pid, { id, resources, annotations: spec.annotations ?? {} });
  cgroup.create();
  for (const file of cgroup.procsFiles()) joinCgroup(file.slice(0, file.lastIndexOf("/")), pid);
}

/** B6: without resources nothing is set. */
function resourcesOf({ stored: { spec: { linux } }, rootless }: Guided): Resources | undefined {
  if (linux?.resources === undefined) return undefined;
  const { devices, ...rest } = linux.resources;
  return rootless ? rest : { ...rest, devices: deviceRules(devices) };
}

/** Whether there is something to stop for before the root is changed. */
export function hasCreateHooks({ hooks = {} }: Spec): boolean {
  return [hooks.prestart, hooks.createRuntime, hooks.createContainer].some((list) => (list ?? []).length > 0);
}

async function runCreateHooks({ pid, pidfd }: Child, stored: StoredState): Promise<void> {
  const state = ociState(stored, "creating");
  await runHooks("prestart", stored.spec.hooks, { state });
  await runHooks("createRuntime", stored.spec.hooks, { state });
  // Where runc starts them: `ldconfig -r .` means the container's files.
  const inside = { pid, pidfd, namespaces: differingNamespaces(pid), cwd: stored.rootfs };
  await runHooks("createContainer", stored.spec.hooks, { state, inside });
}

/** The state as the specification words it. */
export function ociState({ id, bundle, pid, spec }: StoredState, status: Status): OciState {
  const { annotations } = spec;
  const common = {
    ociVersion: spec.ociVersion || OCI_VERSION,
    id,
    status,
    pid: status === "stopped" ? 0 : pid,
    bundle,
  };
  return annotations === undefined ? common : { ...common, annotations };
}

/** Where the listener of a filter is: a descriptor of the process that has loaded it. */
export interface Listener {
  pid: number;
  pidfd: Fd;
  number: number;
}

/** Gives the listener of a filter to who answers it: the profile's socket. */
export async function handOverListener(
  { pid, pidfd, number }: Listener,
  { stored, status }: { stored: StoredState; status: Status },
): Promise<void> {
  const { sendListener } = await import("./seccomp_listener.ts");
  using descriptor = takeDescriptor(pidfd, number);
  const { listenerPath = "", listenerMetadata } = stored.spec.linux?.seccomp ?? {};
  sendListener(descriptor, {
    path: listenerPath,
    metadata: listenerMetadata,
    pid,
    state: ociState(stored, status),
  });
}
