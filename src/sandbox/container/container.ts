/** A container in a sandbox, seen from the host. @module */
import { abortable, awaitAll } from "../../base/async.ts";
import { KataError } from "../../base/error.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import type { CgroupStats } from "../../oci/cgroup/stats.ts";
import type { Resources } from "../../oci/spec/spec.ts";
import { keptFromGuest, toGuestProcess, toGuestResources } from "../../resources/guest_spec.ts";
import type { AgentConnection } from "../agent/client.ts";
import type { PidNamespace } from "../agent/containers.ts";
import type { ContainerResources, GuestFiles } from "./files.ts";
import type { HostHooks } from "./host_hooks.ts";
import { Process, type ProcessExit } from "./process.ts";
import { KILLED_STATUS } from "./status.ts";
import type { ContainerContext, ContainerOptions, ExecOptions } from "./options.ts";

/** For exec'd processes to report their own end after the container's. */
const EXECS_MS = 1_000;

type ContainerAgent = Pick<AgentConnection, "containers" | "processes" | "streams">;

/** Parts of a container. */
export interface ContainerParts {
  /** On the host and in the machine; taken over. */
  resources: ContainerResources;
  /** Files as the guest is told of them. */
  files: GuestFiles;
  pidNamespace: PidNamespace;
  agent: ContainerAgent;
  hooks: HostHooks;
}

/** Disposing it lets go of what it has on the host; {@linkcode Container.remove} takes it out of the guest first. */
export class Container implements AsyncDisposable {
  readonly init: Process;
  readonly pidNamespace: PidNamespace;
  readonly #options: ContainerOptions;
  readonly #context: ContainerContext;
  readonly #agent: ContainerAgent;
  readonly #hooks: HostHooks;
  readonly #resources: AsyncDisposableStack;
  readonly #files: GuestFiles;
  readonly #execs = new Map<string, Process>();

  /** Nothing happens in the guest before {@linkcode Container.create}. */
  constructor(
    options: ContainerOptions,
    { resources, files, pidNamespace, agent, hooks, ...context }: ContainerContext & ContainerParts,
  ) {
    this.pidNamespace = pidNamespace;
    this.#options = options;
    this.#context = context;
    this.#agent = agent;
    this.#files = files;
    this.#hooks = hooks;
    this.init = new Process({
      containerId: options.id,
      execId: "",
      terminal: options.terminal,
      stdio: options.stdio,
      agent,
      log: context.log,
      launch: () => agent.containers.start(options.id),
    });
    this.#resources = new AsyncDisposableStack();
    this.#resources.use(resources);
    this.#resources.use(this.init);
  }

  get id(): string {
    return this.#options.id;
  }

  get bundle(): string {
    return this.#options.bundle;
  }

  /** Makes it in the guest; it does not run yet. */
  async create(): Promise<void> {
    const { id, pidNamespace } = this;
    const { log } = this.#context;
    try {
      const unsaid = await this.#agent.containers.create({ ...this.#files, id, pidNamespace });
      const lost = [...keptFromGuest(this.#options.spec.linux?.resources ?? {}), ...unsaid];
      if (lost.length > 0) log.warning("Cannot tell the guest all of a specification", { container: id, lost });
    } catch (cause) {
      throw new Error(`Cannot create container "${id}" in the guest`, { cause });
    }
  }

  /** All its processes, the first one first. */
  get processes(): readonly Process[] {
    return [this.init, ...this.#execs.values()];
  }

  /** @param execId Empty for the first process. @throws {KataError} NOT_FOUND. */
  process(execId: string): Process {
    const process = execId === "" ? this.init : this.#execs.get(execId);
    if (process !== undefined) return process;
    throw new KataError("NOT_FOUND", `Cannot find exec "${execId}" in container "${this.id}"`);
  }

  /** Runs its first process, and the hooks that come after. @throws {Error} One of these fails: it is killed then. */
  async start(): Promise<void> {
    await this.init.start();
    try {
      await this.#hooks.runPoststart();
    } catch (error) {
      await this.kill(SIGNALS.SIGKILL, { execId: "", all: true });
      throw error;
    }
  }

  /** Runs the hooks that come when nothing is left of it. */
  async afterRemoval(): Promise<void> {
    await this.#hooks.runPoststop();
  }

  /** Registers a process; its `start` runs it. @throws {KataError} ALREADY_EXISTS, or FAILED_PRECONDITION. */
  async addExec(options: ExecOptions): Promise<Process> {
    const { execId, terminal, stdio } = options;
    await using undo = new AsyncDisposableStack();
    undo.use(stdio);
    if (this.init.status !== "running") {
      const message = `Cannot exec in container "${this.id}": it is ${this.init.status}`;
      throw new KataError("FAILED_PRECONDITION", message);
    }
    if (this.#execs.has(execId)) {
      throw new KataError("ALREADY_EXISTS", `Cannot add exec "${execId}" to container "${this.id}": it exists`);
    }
    const { config, log } = this.#context;
    const agent = this.#agent;
    const process = toGuestProcess({ ...options.process, terminal }, config);
    const launch = () => agent.processes.exec({ containerId: this.id, execId }, process);
    const added = new Process({ containerId: this.id, execId, terminal, stdio, agent, log, launch });
    this.#execs.set(execId, added);
    undo.move();
    return added;
  }

  /** @throws {KataError} FAILED_PRECONDITION while it runs. */
  async removeExec(execId: string): Promise<ProcessExit | undefined> {
    const process = this.process(execId);
    mustNotRun(process, `exec "${execId}" of container "${this.id}"`);
    this.#execs.delete(execId);
    await process[Symbol.asyncDispose]();
    return process.exit;
  }

  /** Sends a signal to one process, or with `all` to each of them (B7). */
  async kill(signal: number, options: { execId: string; all: boolean }): Promise<void> {
    const others = options.all && options.execId === "" ? this.#running() : [];
    await Promise.all([this.process(options.execId), ...others].map((process) => process.signal(signal)));
  }

  /** Resolves when its first process and those that go with it have ended, and all that they wrote is passed on. */
  async finished(): Promise<void> {
    await this.init.exited;
    const { processes } = this;
    const ends = Promise.all(processes.filter(({ status }) => status !== "created").map(({ exited }) => exited));
    await abortable(ends, AbortSignal.timeout(EXECS_MS)).catch(() => {});
    await Promise.all(processes.map((process) => process.drained()));
  }

  async pause(): Promise<void> {
    this.init.setPaused("paused");
    try {
      await this.#agent.containers.pause(this.id);
    } catch (error) {
      this.init.setPaused("running");
      throw error;
    }
  }

  async resume(): Promise<void> {
    this.init.setPaused("running");
    try {
      await this.#agent.containers.resume(this.id);
    } catch (error) {
      this.init.setPaused("paused");
      throw error;
    }
  }

  async update(resources: Resources): Promise<void> {
    const lost = keptFromGuest(resources);
    if (lost.length > 0) {
      this.#context.log.warning("Cannot tell the guest all of an update", { container: this.id, lost });
    }
    await this.#agent.containers.update(this.id, toGuestResources(resources));
  }

  /** Usage of the container as its guest measures it; undefined if the guest does not say. */
  async stats(): Promise<CgroupStats | undefined> {
    return await this.#agent.containers.stats(this.id);
  }

  /** @throws {KataError} FAILED_PRECONDITION while it runs. */
  mustNotRun(): void {
    mustNotRun(this.init, `container "${this.id}"`);
  }

  /**
   * Takes it out of the guest and lets go of it, whatever the guest says.
   *
   * @throws {KataError} FAILED_PRECONDITION while it runs; then nothing is done.
   */
  async remove(): Promise<void> {
    this.mustNotRun();
    await using cleanup = new AsyncDisposableStack();
    cleanup.use(this);
    // One that never ran is killed by its removal.
    cleanup.defer(() => this.init.end(KILLED_STATUS));
    await this.#agent.containers.remove(this.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using cleanup = new AsyncDisposableStack();
    cleanup.use(this.#resources);
    cleanup.defer(() => awaitAll([...this.#execs.values()].map((process) => process[Symbol.asyncDispose]())));
  }

  #running(): readonly Process[] {
    return [...this.#execs.values()].filter(({ status }) => status === "running" || status === "paused");
  }
}

function mustNotRun(process: Process, name: string): void {
  if (process.status === "running" || process.status === "paused") {
    throw new KataError("FAILED_PRECONDITION", `Cannot remove ${name}: it is ${process.status}`);
  }
}
