/** containerd's task API, versions 2 and 3: the same calls on the sandbox. @module */
import type { Any } from "@bufbuild/protobuf/wkt";
import { KataError } from "../base/error.ts";
import { verifyId } from "../base/id.ts";
import type { Logger } from "../base/log.ts";
import type { Spec } from "../oci/spec/spec.ts";
import { refuseUnknown } from "../config/annotations.ts";
import { type ContainerIdentity, identify } from "./annotations.ts";
import { Status as WireStatus } from "../proto/task_types_pb.ts";
import type * as wire from "../proto/task_v2_pb.ts";
import type { Container } from "../sandbox/container/container.ts";
import type { Process } from "../sandbox/container/process.ts";
import type { SandboxOptions } from "../sandbox/options.ts";
import { Sandbox } from "../sandbox/sandbox.ts";
import type { Status } from "../sandbox/container/status.ts";
import type { ShimArgs } from "./args.ts";
import { type TaskEvents, wireExit } from "./events/task_events.ts";
import { openStdio } from "./io/stdio.ts";
import type { ShimLog } from "./log/logs.ts";
import { parseProcess, parseResources, readSpec } from "./requests.ts";
import { readSettings } from "./settings.ts";
import { unlessGone } from "./unless_gone.ts";

const WIRE_STATUS = {
  created: WireStatus.CREATED,
  running: WireStatus.RUNNING,
  paused: WireStatus.PAUSED,
  stopped: WireStatus.STOPPED,
} as const satisfies Record<Status, WireStatus>;

/**
 * Pid reported for an exec: the shim's. A container has the VMM's, which an exec must not share: Docker 20.10 takes the
 * end of an exec with its container's pid for the container's end.
 */
const EXEC_PID = Deno.pid;

/** A message of either version: only the type names differ. */
type Request<T> = Omit<T, "$typeName" | "$unknown">;
type Empty = Record<never, never>;
type ExitFields = ReturnType<typeof wireExit>;

export interface TaskServiceOptions {
  args: Pick<ShimArgs, "id" | "namespace">;
  /** Address of the shim's own socket. */
  address: string;
  events: TaskEvents;
  logs: Pick<ShimLog, "at" | "log">;
  /** The host's cgroup version: the form in which metrics are wanted. */
  cgroupVersion: "v1" | "v2";
  /** Called once the shim has nothing more to do. */
  onShutdown: () => void;
  /** Called with the sandbox while its machine boots. */
  onSandbox?: (sandbox: Sandbox, log: Logger) => void;
  /** How sandboxes are made where it is not the usual way. */
  sandbox?: Pick<SandboxOptions, "makeHypervisor" | "roots">;
}

/** Methods as {@linkcode ServiceImpl} names them. They map messages to the sandbox and back; rules live there. */
export class TaskService {
  readonly #options: TaskServiceOptions;
  #sandbox: Sandbox | undefined;
  /** The one sandbox, from when it is begun. */
  #launched: { id: string; sandbox: Promise<Sandbox> } | undefined;

  constructor(options: TaskServiceOptions) {
    this.#options = options;
  }

  /** @param options `signal`: fires when the caller is gone. */
  async create(
    request: Request<wire.CreateTaskRequest>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<{ pid: number }> {
    try {
      return await this.#create(request, signal);
    } catch (error) {
      // An engine that died meanwhile does not know, once it is back, that there is a shim without a task to end.
      if (signal?.aborted && this.#sandbox === undefined) this.#options.onShutdown();
      throw error;
    }
  }

  async #create(request: Request<wire.CreateTaskRequest>, signal: AbortSignal | undefined): Promise<{ pid: number }> {
    const { id, bundle, terminal, stdin, stdout, stderr } = request;
    verifyId(id);
    if (request.checkpoint !== "") {
      throw new KataError("UNIMPLEMENTED", `Cannot create container "${id}" from a checkpoint: a VM has none`);
    }
    const spec = readSpec(bundle);
    refuseUnknown(spec.annotations);
    const identity = identify(spec.annotations, id);
    const sandbox = identity.type === "pod_container"
      ? this.#found(identity.sandboxId)
      : await this.#launch(identity, spec, request.options);
    try {
      const stdio = await openStdio({ stdin, stdout, stderr }, { containerId: id, ...this.#options.args });
      const { type } = identity;
      const making = sandbox.createContainer({ id, type, bundle, spec, rootfs: request.rootfs, terminal, stdio });
      await (identity.type === "pod_container" ? making : unlessGone(making, { sandbox, signal }));
    } catch (error) {
      if (identity.type !== "pod_container") await this.#abandon(sandbox);
      throw error;
    }
    const { pid } = sandbox;
    this.#options.events.emit("create", {
      containerId: id,
      bundle,
      rootfs: request.rootfs,
      io: { stdin, stdout, stderr, terminal },
      pid,
    });
    return { pid };
  }

  async start({ id, execId }: Request<wire.StartRequest>): Promise<{ pid: number }> {
    const { process, pid } = this.#process(id, execId);
    if (execId === "") await this.#found().startContainer(id);
    else await process.start();
    const { events } = this.#options;
    if (execId === "") events.emit("start", { containerId: id, pid });
    else events.emit("execStarted", { containerId: id, execId, pid });
    events.followExit(process, pid);
    return { pid };
  }

  async delete({ id, execId }: Request<wire.DeleteRequest>): Promise<{ pid: number } & ExitFields> {
    const sandbox = this.#found();
    if (execId !== "") {
      const exit = await sandbox.container(id).removeExec(execId);
      return { pid: EXEC_PID, ...wireExit(exit) };
    }
    const { pid } = sandbox;
    const exit = wireExit(await sandbox.removeContainer(id));
    this.#options.events.emit("delete", { containerId: id, pid, ...exit });
    return { pid, ...exit };
  }

  async exec(request: Request<wire.ExecProcessRequest>): Promise<Empty> {
    const { id, execId, terminal, stdin, stdout, stderr } = request;
    verifyId(execId, "exec");
    const container = this.#found().container(id);
    const process = parseProcess(request.spec);
    const stdio = await openStdio({ stdin, stdout, stderr }, { containerId: id, ...this.#options.args });
    await container.addExec({ execId, process, terminal, stdio });
    this.#options.events.emit("execAdded", { containerId: id, execId });
    return {};
  }

  async kill({ id, execId, signal, all }: Request<wire.KillRequest>): Promise<Empty> {
    const { container, process, pid } = this.#process(id, execId);
    await container.kill(signal, { execId, all });
    // One that is killed before its start has an end as well; otherwise the start announces it.
    if (!process.started) this.#options.events.followExit(process, pid);
    return {};
  }

  async wait({ id, execId }: Request<wire.WaitRequest>): Promise<ExitFields> {
    return wireExit(await this.#process(id, execId).process.exited);
  }

  state({ id, execId }: Request<wire.StateRequest>): Partial<Request<wire.StateResponse>> {
    const { container: { bundle }, process, pid } = this.#process(id, execId);
    const { names, terminal } = process;
    const status = WIRE_STATUS[process.status];
    return { id, execId, bundle, pid, status, terminal, ...names, ...wireExit(process.exit) };
  }

  pids({ id }: Request<wire.PidsRequest>): { processes: { pid: number }[] } {
    // The guest's numbers mean nothing here: the host sees one process, the VMM.
    return { processes: [{ pid: this.#process(id, "").pid }] };
  }

  async pause({ id }: Request<wire.PauseRequest>): Promise<Empty> {
    await this.#found().container(id).pause();
    this.#options.events.emit("paused", { containerId: id });
    return {};
  }

  async resume({ id }: Request<wire.ResumeRequest>): Promise<Empty> {
    await this.#found().container(id).resume();
    this.#options.events.emit("resumed", { containerId: id });
    return {};
  }

  async resizePty({ id, execId, width, height }: Request<wire.ResizePtyRequest>): Promise<Empty> {
    await this.#process(id, execId).process.resize({ columns: width, rows: height });
    return {};
  }

  closeIO({ id, execId, stdin }: Request<wire.CloseIORequest>): Empty {
    if (stdin) this.#process(id, execId).process.finishInput();
    return {};
  }

  async update({ id, resources }: Request<wire.UpdateTaskRequest>): Promise<Empty> {
    await this.#found().updateContainer(id, parseResources(resources));
    return {};
  }

  async stats({ id }: Request<wire.StatsRequest>): Promise<{ stats: Any }> {
    const stats = await this.#found().stats(id);
    // Loaded by the first call: a pod that nobody watches has no use for the descriptions of all counters.
    const { toMetrics } = await import("./metrics/metrics.ts");
    return { stats: toMetrics(stats, this.#options.cgroupVersion) };
  }

  connect(): { shimPid: number; taskPid: number } {
    return { shimPid: Deno.pid, taskPid: this.#sandbox?.pid ?? 0 };
  }

  /** Ends the shim, unless containers are left and it is not urgent. Idempotent (B38). */
  async shutdown({ now }: Request<wire.ShutdownRequest>): Promise<Empty> {
    if (!now && (this.#sandbox?.containers.size ?? 0) > 0) return {};
    await (await this.#launched?.sandbox.catch(() => undefined))?.stop();
    this.#options.onShutdown();
    return {};
  }

  async #launch({ sandboxId, type }: ContainerIdentity, spec: Spec, options: Any | undefined): Promise<Sandbox> {
    if (this.#launched !== undefined) {
      throw new KataError("ALREADY_EXISTS", `Cannot create sandbox "${sandboxId}": "${this.#launched.id}" is here`);
    }
    const { args, address, events, logs } = this.#options;
    const { config, log } = readSettings(spec, { options, logs });
    const sandbox = Sandbox.create({
      id: sandboxId,
      config,
      log,
      owner: { namespace: args.namespace, address },
      spec,
      type,
      onOutOfMemory: (containerId) => events.emit("oom", { containerId }),
      ...this.#options.sandbox,
    });
    this.#launched = { id: sandboxId, sandbox };
    try {
      this.#sandbox = await sandbox;
    } catch (error) {
      this.#launched = undefined;
      throw error;
    }
    this.#options.onSandbox?.(this.#sandbox, log);
    return this.#sandbox;
  }

  async #abandon(sandbox: Sandbox): Promise<void> {
    await sandbox.stop();
    this.#launched = this.#sandbox = undefined;
  }

  /** @throws {KataError} NOT_FOUND. */
  #found(id = this.#sandbox?.id): Sandbox {
    if (this.#sandbox !== undefined && this.#sandbox.id === id) return this.#sandbox;
    throw new KataError("NOT_FOUND", id === undefined ? "Cannot find a sandbox" : `Cannot find sandbox "${id}"`);
  }

  #process(id: string, execId: string): { container: Container; process: Process; pid: number } {
    const sandbox = this.#found();
    const container = sandbox.container(id);
    return { container, process: container.process(execId), pid: execId === "" ? sandbox.pid : EXEC_PID };
  }
}
