/**
 * A container and all that can be done with it. The agent in the guest and `runk` on the host share this engine.
 *
 * The folder: `spec.ts` and `validate.ts` are the configuration, `*_plan.ts` what is decided before a process exists,
 * `init.ts` and `join.ts` the system calls of a first and of a further process, `cgroup/` the limits.
 *
 * @module
 */
import { errorCode } from "../../base/error.ts";
import { verifyEngineId } from "../../base/id.ts";
import type { CgroupStats } from "../cgroup/stats.ts";
import type { ContainerParts, CreateOptions, Home } from "./create_options.ts";
import { cgroupOf, createContainer } from "./create.ts";
import { type ExecOptions, execProcess } from "../exec/exec.ts";
import { waitPatiently } from "../init/held.ts";
import { applyOomScore, type ContainerProcess } from "./process.ts";
import { runPoststopHooks } from "../hooks/hooks.ts";
import { hasPidNamespace } from "./marks.ts";
import { endMembers, hasMembers, removeCgroups } from "./members.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import { releaseMounts } from "./shared_mounts.ts";
import { isAlive, isPausedByUs, killContainer, type KillOptions } from "./kill.ts";
import { type OomOptions, watchOomV1, watchOomV2 } from "./oom.ts";
import type { Process, Resources, Spec } from "../spec/spec.ts";
import { openExecFifo, runPoststartHooks, runStartHooks } from "./start.ts";
import { checkAllowed, type OciState, ociState, type Operation, StateDirectory, type Status } from "./state.ts";
import { isFrozenForLong, lockFreezing } from "./stillness.ts";
import { stopScope, updateScope } from "../cgroup/systemd/scope_manager.ts";

export type { Stdio } from "../init/child_setup.ts";
export type { CreateOptions, Home } from "./create_options.ts";
export type { ExecOptions } from "../exec/exec.ts";
export type { KillOptions } from "./kill.ts";
export type { ContainerProcess } from "./process.ts";

export interface DeleteOptions {
  /** Kill what still runs. */
  force?: boolean;
}

/**
 * One container.
 *
 * {@linkcode Container.create} makes everything, and the first process waits; {@linkcode Container.start} lets it run;
 * {@linkcode Container.delete} takes everything away. A failed `create` leaves nothing behind.
 */
export class Container {
  readonly #parts: ContainerParts;

  /** Use {@linkcode Container.create} or {@linkcode Container.load}. */
  constructor(parts: ContainerParts) {
    this.#parts = parts;
  }

  /** @throws {Error} Naming the step that failed; nothing is left behind. */
  static async create(options: CreateOptions): Promise<Container> {
    return new Container(await createContainer(options));
  }

  /** Finds a container that another program created. @throws {KataError} NOT_FOUND. */
  static load(id: string, home: Home): Container {
    verifyEngineId(id);
    const directory = new StateDirectory(home.stateRoot, id);
    const stored = directory.read();
    const cgroup = cgroupOf(home.cgroups, stored);
    return new Container({ home, directory, stored, cgroup, init: undefined });
  }

  /** Removes what a `create` left that was killed before it wrote a state, so that {@linkcode Container.load} finds none. */
  static async removeRemains(id: string, home: Home): Promise<void> {
    verifyEngineId(id);
    const directory = new StateDirectory(home.stateRoot, id);
    try {
      using _lock = await directory.lock();
      if (!directory.isWritten()) directory.remove();
    } catch (error) {
      // There are none, or another command has been faster.
      if (errorCode(error) !== "NOT_FOUND") throw error;
    }
  }

  get id(): string {
    return this.#parts.stored.id;
  }

  get bundle(): string {
    return this.#parts.stored.bundle;
  }

  get spec(): Spec {
    return this.#parts.stored.spec;
  }

  /** Of the first process, even if it has ended. */
  get pid(): number {
    return this.#parts.stored.pid;
  }

  /** Time of creation: ISO 8601, UTC. */
  get created(): string {
    return this.#parts.stored.created;
  }

  /** The first process; undefined if another program created the container. */
  get init(): ContainerProcess | undefined {
    return this.#parts.init;
  }

  /** Asks the kernel, each time. */
  status(): Status {
    const { directory } = this.#parts;
    if (!isAlive(this.#parts)) return "stopped";
    const stage = directory.stage();
    return stage !== "creating" && (isPausedByUs(this.#parts) || isFrozenForLong(this.#parts)) ? "paused" : stage;
  }

  /** As the specification words it. */
  state(): OciState {
    return ociState(this.#parts.stored, this.status());
  }

  /**
   * Lets the first process run its program.
   *
   * @throws {Error} A hook failed, or the program could not be run, in the words of a shell; the container is stopped
   *   then.
   */
  async start(): Promise<void> {
    await this.#begin();
    // Without the lock, as these hooks may have us do more with the container.
    await runPoststartHooks(this.#parts, this.state());
  }

  async #begin(): Promise<void> {
    using _lock = await this.#parts.directory.lock();
    this.#check("start");
    const { init, directory, stored, home } = this.#parts;
    const score = stored.spec.process?.oomScoreAdj;
    await runStartHooks(this.#parts, () => this.state());
    applyOomScore(stored.pid, score, home.log);
    openExecFifo(directory.execFifo, stored.id);
    directory.removeExecFifo();
    const task = `start container "${this.id}"`;
    const { patience } = home;
    const wait = waitPatiently({ patience, task, pids: () => [stored.pid], isPaused: () => isPausedByUs(this.#parts) });
    await init?.executed({ until: (end) => wait(end, "run its program") });
  }

  /** Starts a further process. @returns It runs its program already; the caller waits for its end. */
  async exec(process: Process, options: ExecOptions = {}): Promise<ContainerProcess> {
    if (!(options.ignorePaused && this.status() === "paused")) this.#check("exec");
    return await execProcess(this.#parts, process, options);
  }

  /**
   * Sends a signal.
   *
   * @param signal By number.
   * @throws {KataError} FAILED_PRECONDITION, "container not running", without `all`.
   */
  async kill(signal: number, { all = false }: KillOptions = {}): Promise<void> {
    // What is left of one that has no pid namespace of its own is killed without its first process as well.
    const isLeft = signal === SIGNALS.SIGKILL && !hasPidNamespace(this.spec) && await hasMembers(this.#parts);
    if (!all && !isLeft) this.#check("kill");
    await killContainer(this.#parts, signal, { all });
  }

  async pause(): Promise<void> {
    using _lock = await this.#parts.directory.lock();
    this.#check("pause");
    const { directory, cgroup } = this.#parts;
    using _freezing = await lockFreezing(this.#parts.home);
    directory.markPaused();
    try {
      await cgroup.freeze();
    } catch (error) {
      directory.unmarkPaused();
      throw error;
    }
  }

  async resume(): Promise<void> {
    using _lock = await this.#parts.directory.lock();
    this.#check("resume");
    using _freezing = await lockFreezing(this.#parts.home);
    await this.#parts.cgroup.thaw();
    this.#parts.directory.unmarkPaused();
  }

  /** Changes limits. A limit that `resources` does not mention stays as it is. */
  async update(resources: Resources): Promise<void> {
    using _lock = await this.#parts.directory.lock();
    this.#check("update");
    const { cgroup, stored, directory } = this.#parts;
    if (stored.scope) await updateScope(stored.scope, resources);
    cgroup.apply(resources);
    stored.spec.linux = { ...stored.spec.linux, resources: { ...stored.spec.linux?.resources, ...resources } };
    directory.write(stored);
  }

  stats(): CgroupStats {
    return this.#parts.cgroup.stats();
  }

  /** Every process of the container, as this pid namespace numbers them. */
  pids(): number[] {
    return this.#parts.cgroup.members();
  }

  /** Yields each time the kernel killed a process of the container for want of memory, until the container is gone. */
  oomEvents(options: OomOptions): AsyncIterable<void> {
    const { version, memoryPath } = this.#parts.cgroup;
    if (memoryPath === undefined) throw new Error("Cannot watch memory: this machine has no memory cgroup");
    return version === 1 ? watchOomV1(memoryPath, options) : watchOomV2(memoryPath, options);
  }

  /**
   * Takes everything away, in the order that leaves no process behind (B2): processes, cgroup, directory. The root file
   * system is the caller's. Then the poststop hooks run; a failure of theirs is logged only.
   */
  async delete({ force = false }: DeleteOptions = {}): Promise<void> {
    const { cgroup, directory, home, init, stored: { scope, foreignCgroups = [] } } = this.#parts;
    using _lock = force ? await this.#lockByForce() : await directory.lock();
    if (!force) this.#check("delete");
    if (directory.isReplaced()) return;
    const isEmpty = !scope && foreignCgroups.length === 0 && !isAlive(this.#parts) && cgroup.removeIfEmpty();
    if (!isEmpty) await endMembers(this.#parts);
    await init?.end(home.patience);
    if (scope) await stopScope(scope);
    if (!isEmpty) await removeCgroups(this.#parts);
    releaseMounts(this.#parts.stored);
    directory.remove();
    await runPoststopHooks(this.spec.hooks, { state: this.state(), log: home.log });
  }

  /** @returns Undefined if there is no directory to lock any more. */
  async #lockByForce(): Promise<Disposable | undefined> {
    const { directory } = this.#parts;
    const lock = directory.exists() ? directory.tryLock() : undefined;
    if (lock !== undefined) return lock;
    // A create or start that holds the lock right now gives up when the container's process is killed.
    await endMembers(this.#parts);
    return directory.exists() ? await directory.lock() : undefined;
  }

  #check(operation: Operation): void {
    checkAllowed(operation, { id: this.id, status: this.status() });
  }
}
