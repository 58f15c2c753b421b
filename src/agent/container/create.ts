/** Making a container from what the host asks for, step by step. @module */
import { errorCode, KataError } from "../../base/error.ts";
import { verifyId } from "../../base/id.ts";
import { detectCgroups } from "../../linux/cgroup/cgroup.ts";
import { Fd, O_DIRECTORY, O_PATH, O_RDONLY } from "../../linux/io/fd.ts";
import { openGuarded } from "../../linux/fs/guarded_path.ts";
import { umountTree } from "../../linux/mount/mount.ts";
import { removePath } from "../../linux/fs/remove_tree.ts";
import { readMountInfo } from "../../linux/mount/mountinfo.ts";
import { Container, type CreateOptions } from "../../oci/container/container.ts";
import type { GuardSource } from "../../oci/mount/plan.ts";
import { specFromProto } from "../../agent_api/spec_codec.ts";
import { formatSpec, type Spec } from "../../oci/spec/spec.ts";
import type { CreateContainerRequest } from "../../proto/agent_pb.ts";
import { GUEST_PATH } from "../../agent_api/names.ts";
import { GuestContainer } from "./container.ts";
import type { Guest } from "../guest.ts";
import { bundleOf, refusePart } from "../files/guest_path.ts";
import { attachDevices, withGuestNumbers } from "./devices.ts";
import { addGuestHooks } from "./hooks.ts";
import { toMappedSpec, withoutNetworkSysctls } from "./mapped_spec.ts";
import { needsOf } from "../machine/kernel_needs.ts";
import type { MappedPaths } from "../machine/mapped_namespaces.ts";
import { guestNamespaces } from "../machine/namespaces.ts";
import { GuestProcess, INIT_EXEC_ID } from "./process.ts";
import { groupsOf } from "../storage/groups.ts";

/** State of the containers; not below the bundles, which CreateSandbox wipes. */
const STATE_ROOT = "/run/kata-agent";

/**
 * Makes a container whose first process waits to be started. A failure leaves nothing behind.
 *
 * @throws {KataError} INVALID_ARGUMENT for a bad id or spec, UNIMPLEMENTED for what this agent cannot do yet.
 */
export async function createContainer(
  guest: Guest,
  request: CreateContainerRequest,
  { signal }: { signal: AbortSignal },
): Promise<GuestContainer> {
  const id = verifyId(request.containerId);
  refuseUnknown(request);
  await using undo = new AsyncDisposableStack();
  const bundle = makeBundle(id, undo);
  const { log, devices, sandbox: { storages } } = guest;
  const context = { log, containersDir: GUEST_PATH.containers, containerId: id, devices, signal };
  const guard = (path: string) => storages.guard(path);
  // Before the storages, and so released after them: a storage has open what it shows.
  undo.use(guest.sandbox.sharedMounts.usePaths(request.storages.map(({ source }) => source), guard));
  for (const group of groupsOf(request.storages)) undo.use(await storages.acquire(group, context));
  using target = targetPidns(guest, request);
  const numbers = await attachDevices(request.devices, { devices, signal, undo });
  const asked = specFromProto(request.OCI!);
  const mapped = guest.sandbox.mappedNamespaces.of(asked, { hostname: guest.sandbox.namespaces?.hostname ?? "" });
  const spec = withGuestNumbers(guestSpec(guest, { asked, mapped, request, target }), numbers);
  checkRoot(spec, { bundle, guard });
  undo.use(guest.sandbox.sharedMounts.use(spec, guard));
  Deno.writeTextFileSync(`${bundle}/config.json`, formatSpec(spec));
  await guest.modules.serve(needsOf(asked));
  // Once their modules are there.
  if (guest.isInit) guest.sandbox.sysctls[mapped === undefined ? "remember" : "set"](asked);
  const { container, init } = await startInit({ id, bundle, spec, ownsMachine: guest.isInit, guardSource: guard });
  await using made = new AsyncDisposableStack();
  made.defer(() => container.delete({ force: true }));
  // The first container is the pod's own and outlives the others, so its namespace is the one that they share.
  guest.sandbox.pidNamespace ??= Fd.open(`/proc/${init.process.pid}/ns/pid`, O_RDONLY);
  made.move();
  return new GuestContainer(container, init, { resources: undo.move(), initName: request.execId, log });
}

/** A root file system is mounted or made by us or the host: none lies in what containers write, nor behind a link there. */
function checkRoot({ root }: Spec, { bundle, guard }: { bundle: string; guard: GuardSource }): void {
  const path = root?.path ?? "";
  const place = refusePart(guard(path.startsWith("/") ? path : `${bundle}/${path}`));
  try {
    openGuarded(place, O_PATH | O_DIRECTORY)[Symbol.dispose]();
  } catch (cause) {
    const code = errorCode(cause) ?? "INVALID_ARGUMENT";
    throw new KataError(code, `Cannot use root file system "${path}"`, { cause });
  }
}

/** Refuses requests for features that the agent lacks: none is left out silently. */
function refuseUnknown(request: CreateContainerRequest): void {
  const { containerId, OCI, sharedMounts, stdinPort, stdoutPort, stderrPort } = request;
  const refuse = (what: string) => new KataError("UNIMPLEMENTED", `Cannot create container "${containerId}": ${what}`);
  if (OCI === undefined) {
    throw new KataError("INVALID_ARGUMENT", `Cannot create container "${containerId}": the request has no OCI spec`);
  }
  if (sharedMounts.length > 0) throw refuse("this agent cannot share mounts between containers yet");
  if (stdinPort + stdoutPort + stderrPort > 0) throw refuse("this agent cannot pass streams over vsock ports yet");
}

function makeBundle(id: string, undo: AsyncDisposableStack): string {
  const bundle = bundleOf(GUEST_PATH.containers, id);
  Deno.mkdirSync(bundle, { recursive: true, mode: 0o700 });
  undo.defer(() => {
    umountTree(bundle); // what is still mounted here must not be emptied
    removePath(bundle); // containers may have filled the layers in it
  });
  return bundle;
}

/** Opens the process namespace of the container that is to be joined, if one is named. @throws {KataError} NOT_FOUND. */
function targetPidns({ sandbox }: Guest, { targetPidns: id }: CreateContainerRequest): Fd | undefined {
  if (id === "") return undefined;
  const { init } = sandbox.container(id);
  if (!init.hasExited) return Fd.open(`/proc/${init.process.pid}/ns/pid`, O_RDONLY);
  throw new KataError("NOT_FOUND", `Cannot join the process namespace of container "${id}": it has ended`);
}

interface GuestSpecOptions {
  asked: Spec;
  /** Of a container whose ids are mapped. */
  mapped: MappedPaths | undefined;
  request: CreateContainerRequest;
  /** Process namespace of another container. */
  target: Fd | undefined;
}

function guestSpec({ sandbox, isInit }: Guest, { asked, mapped, request, target }: GuestSpecOptions): Spec {
  const spec = mapped === undefined ? asked : mappedSpec(asked, { isInit });
  const pid = (request.sandboxPidns ? sandbox.pidNamespace : target)?.number;
  const namespaces = guestNamespaces(spec, {
    shared: mapped ?? sandbox.namespaces,
    pid: pid === undefined ? undefined : `/proc/self/fd/${pid}`,
  });
  return addGuestHooks({ ...spec, linux: { ...spec.linux, namespaces } }, sandbox.guestHookPath);
}

/** On a machine that is not ours network sysctls stay in it, and are refused by name. */
function mappedSpec(asked: Spec, { isInit }: Pick<Guest, "isInit">): Spec {
  const spec = toMappedSpec(asked);
  return isInit ? withoutNetworkSysctls(spec) : spec;
}

type InitOptions = Required<Pick<CreateOptions, "id" | "bundle" | "spec" | "ownsMachine" | "guardSource">>;

async function startInit(options: InitOptions): Promise<{ container: Container; init: GuestProcess }> {
  const terminal = options.spec.process?.terminal ?? false;
  let container: Container | undefined;
  const init = await GuestProcess.start(INIT_EXEC_ID, { terminal }, async (stdio) => {
    container = await Container.create({
      ...options,
      stdio,
      stateRoot: STATE_ROOT,
      cgroups: detectCgroups(),
      noPivotRoot: rootIsInitramfs(),
    });
    return container.init!;
  });
  return { container: container!, init };
}

/** The kernel refuses to pivot away from the first root file system. */
function rootIsInitramfs(): boolean {
  return readMountInfo().findLast(({ mountPoint }) => mountPoint === "/")?.type === "rootfs";
}
