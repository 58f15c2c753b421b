/**
 * A sandbox: one VM and the containers in it. This folder is the host's domain, used by the shim; a container's and a
 * process's part are in the files of their names.
 *
 * @module
 */
import { KataError } from "../base/error.ts";
import type { Hypervisor, VmInfo } from "../hypervisor/hypervisor.ts";
import { startTime } from "../hypervisor/process/pid_file.ts";
import type { Resources } from "../oci/spec/spec.ts";
import type { AgentConnection } from "./agent/client.ts";
import type { ContainerOptions } from "./container/options.ts";
import { Container } from "./container/container.ts";
import { ContainerResources } from "./container/files.ts";
import { Growth } from "./machine/growth.ts";
import { explainLoss, oomWords } from "./machine/loss.ts";
import { destroyGuest, setUpGuest } from "./agent/guest_setup.ts";
import { locatedCards } from "./agent/located_cards.ts";
import { HostHooks } from "./container/host_hooks.ts";
import { rewriteState, type SandboxState, writeState } from "./persist.ts";
import type { SandboxOptions } from "./options.ts";
import { Phases } from "./phases.ts";
import { ResolvConf } from "./agent/resolv_conf.ts";
import { PortForward } from "./agent/port_forward.ts";
import type { ProcessExit } from "./container/process.ts";
import { makeParts, type SandboxParts } from "./parts.ts";
import { followClock } from "./machine/guest_clock.ts";
import { followNetwork, type LateNetwork } from "./machine/late_network.ts";
import { startMachine } from "./machine/start.ts";
import { type SandboxStats, statsOf } from "./stats.ts";
import { KILLED_STATUS, LOST_STATUS } from "./container/status.ts";
import { awaitLoss, watchOutOfMemory } from "./agent/watch.ts";

/** Disposing it stops it. */
export class Sandbox implements AsyncDisposable {
  /** Resolves with the reason when the VM is gone and everything is cleaned up; never rejects. */
  readonly ended: Promise<string>;
  readonly phases = new Phases();
  readonly #options: SandboxOptions;
  readonly #parts: SandboxParts;
  readonly #booted: Promise<AgentConnection>;
  readonly #resolveBooted: (agent: Promise<AgentConnection>) => void;
  readonly #resolveEnded: (reason: string) => void;
  #growth: Growth | undefined;
  #lateNetwork: LateNetwork | undefined;
  /** Root file system of its own container, in the guest. */
  #podRoot = "";
  #pid = 0;
  #stopping: Promise<void> | undefined;
  #lost: string | undefined;

  /** Use {@linkcode Sandbox.create}. */
  constructor(options: SandboxOptions, parts: SandboxParts) {
    this.#options = options;
    this.#parts = parts;
    ({ promise: this.ended, resolve: this.#resolveEnded } = Promise.withResolvers<string>());
    ({ promise: this.#booted, resolve: this.#resolveBooted } = Promise.withResolvers<AgentConnection>());
  }

  /**
   * Makes what a sandbox needs on the host and begins to boot its VM. {@linkcode Sandbox.createContainer} waits for the
   * boot itself, so that what a container needs on the host is done meanwhile.
   *
   * @throws {KataError} ALREADY_EXISTS. Nothing is left behind.
   */
  static async create(options: SandboxOptions): Promise<Sandbox> {
    const sandbox = new Sandbox(options, await makeParts(options));
    sandbox.#resolveBooted(sandbox.#boot());
    // A failed boot is told by `createContainer`; without such a call there is nobody to tell.
    sandbox.#booted.catch(() => {});
    return sandbox;
  }

  get id(): string {
    return this.#options.id;
  }

  /** The VMM's process; 0 while there is none, or if it runs elsewhere. */
  get pid(): number {
    return this.#pid;
  }

  /** Directory of its sockets and its state, removed when it has ended. */
  get runDir(): string {
    return this.#parts.runDir;
  }

  get containers(): ReadonlyMap<string, Container> {
    return this.#parts.containers.byId;
  }

  /** @throws {KataError} NOT_FOUND. */
  container(id: string): Container {
    return this.#parts.containers.get(id);
  }

  /**
   * Makes a container, which its `init.start()` runs. The sandbox stops when the container with its own id has ended.
   *
   * @throws {Error} Why the VM did not boot, or what is wrong with the container, of which nothing is left.
   */
  async createContainer(options: ContainerOptions): Promise<Container> {
    try {
      return await this.#createContainer(options);
    } catch (error) {
      throw explainLoss(error, this.#parts.host.cgroups);
    }
  }

  async #createContainer(options: ContainerOptions): Promise<Container> {
    const hooks = new HostHooks(options, { pid: () => this.#vmmPid(), log: this.#options.log });
    const container = await this.#assemble(options, hooks);
    await using undo = new AsyncDisposableStack();
    undo.use(container);
    if (await hooks.runEarly()) await this.joinLateLinks();
    await this.#growth?.admit(options.id, options.spec.linux?.resources);
    undo.defer(() => this.#growth?.forget(options.id));
    await this.phases.measure("container", () => container.create());
    undo.move();
    this.#parts.containers.add(container);
    this.#save();
    if (options.id === this.id) {
      this.#options.log.info("Container is created", { container: options.id, phases: this.phases.report() });
      this.#stopAfter(container);
    }
    return container;
  }

  /** Runs a container's first process, with whatever interfaces there are by now (B49). */
  async startContainer(id: string): Promise<void> {
    const container = this.container(id);
    await this.joinLateLinks();
    await container.start();
  }

  /**
   * Removes a container that has ended, and with the container of the sandbox's own id the sandbox itself.
   *
   * @throws {KataError} NOT_FOUND, or FAILED_PRECONDITION while it runs.
   */
  async removeContainer(id: string): Promise<ProcessExit | undefined> {
    const container = this.container(id);
    container.mustNotRun();
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => container.afterRemoval());
    cleanup.defer(() => this.#forget(id));
    if (id === this.id) await this.stop();
    else if (this.#stopping !== undefined) await this.#stopping;
    else {
      // Before its guest is asked, which may never answer: a container that is in the list keeps its shim from ending.
      this.#forget(id);
      await container.remove();
    }
    return container.init.exit;
  }

  /** As hooks are told; 0 when it ends. */
  #vmmPid(): number {
    return this.#stopping === undefined ? this.#pid : 0;
  }

  #forget(id: string): void {
    if (!this.#parts.containers.delete(id)) return;
    this.#growth?.forget(id);
    if (this.#stopping === undefined) this.#save();
  }

  /** Changes what a container may use. @throws {KataError} RESOURCE_EXHAUSTED: the VM cannot become so large. */
  async updateContainer(id: string, resources: Resources): Promise<void> {
    const container = this.container(id);
    await this.#growth?.admit(id, resources);
    await container.update(resources);
  }

  /** Usage of a container; for the pod's own, usage of the whole pod on the host. */
  async stats(id: string): Promise<SandboxStats> {
    return await statsOf(this.container(id), this.#parts.host, {
      isPod: id === this.id && this.#options.type !== "single_container",
    });
  }

  /** The machine's monitor, and the agent once it answers. */
  get machine(): { vm: Hypervisor; agent: Promise<AgentConnection> } {
    return { vm: this.#parts.vm, agent: this.#booted };
  }

  /** Plugs in interfaces that the engine has put into the pod's network namespace after the start (B49). */
  async joinLateLinks(): Promise<void> {
    await this.#booted;
    await this.#lateNetwork?.join();
  }

  /** Ends all processes and the VM, and removes everything from the host. Idempotent (B38). */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Makes a container as far as the host does: its files while the VM boots, and in the VM what is plugged. */
  async #assemble(options: ContainerOptions, hooks: HostHooks): Promise<Container> {
    await using undo = new AsyncDisposableStack();
    undo.use(options.stdio);
    this.#parts.containers.mustNotHave(options.id);
    const pidNamespace = this.#parts.containers.pidNamespaceOf(options);
    const { config, log } = this.#options;
    const context = { sandboxId: this.id, config, share: this.#parts.host.share, log };
    const prepare = () => ContainerResources.prepare(options, context);
    const resources = undo.use(await this.phases.measure("files", prepare));
    const agent = await this.#booted;
    const memoryMiB = async () => (await this.#parts.vm.info()).memoryMiB;
    const machine = { disks: this.#parts.disks, podRoot: this.#podRoot, memoryMiB };
    const files = await resources.attach(machine, { signal: this.#parts.abort.signal });
    if (options.id === this.id) this.#podRoot = files.spec.root?.path ?? "";
    undo.move();
    return new Container(options, { ...context, resources, files, pidNamespace, agent, hooks });
  }

  async #boot(): Promise<AgentConnection> {
    const { id, spec, config, onOutOfMemory, log } = this.#options;
    const { cgroups, joined } = this.#parts.host;
    const { signal } = this.#parts.abort;
    writeState(this.#parts.runDir, this.#state());
    const onStarted = (info: VmInfo) => {
      this.#pid = info.pid ?? 0;
      cgroups?.moveVm(info);
    };
    const options = { sandboxId: id, config: config.agent, signal, phases: this.phases, onStarted };
    const agent = this.#parts.owner.use(await startMachine(this.#parts.vm, options));
    const network = locatedCards(joined, this.#parts.vm);
    const resolvConf = this.#parts.owner.use(new ResolvConf(spec));
    const setup = { id, spec, resolvConf, config, network, vm: this.#parts.vm };
    await this.phases.measure("sandbox", () => setUpGuest(agent, setup));
    this.#parts.owner.use(new PortForward(this.#parts.host.loopback, { agent, log }));
    this.#growth = new Growth({ config, vm: this.#parts.vm, agent, cgroups });
    log.info("Sandbox is up", { sandbox: id, vmm: this.#pid, phases: this.phases.report() });
    void this.#watch(agent);
    void followClock({ agent, log, signal });
    this.#lateNetwork = await followNetwork(this.#parts, agent, { resolvConf, log });
    if (onOutOfMemory) {
      const isOurs = (containerId: string) => this.#parts.containers.byId.has(containerId);
      void watchOutOfMemory(agent, { signal, log, isOurs, onEvent: onOutOfMemory });
    }
    return agent;
  }

  /** The only watcher of the VM: its death ends every process at once. */
  async #watch(agent: AgentConnection): Promise<void> {
    const ended = await awaitLoss(this.#parts.vm, agent, { signal: this.#parts.abort.signal });
    if (this.#stopping !== undefined) return;
    const reason = [ended, oomWords(this.#parts.host.cgroups) ?? []].flat().join("; ");
    this.#lost = reason;
    this.#options.log.error("Lost the sandbox", { sandbox: this.id, reason, console: this.#parts.vm.consoleTail(5) });
    await this.stop();
  }

  async #stop(): Promise<void> {
    const { log, id } = this.#options;
    this.#parts.abort.abort(new KataError("UNAVAILABLE", `Cannot go on: sandbox "${id}" stops`));
    const lost = this.#lost;
    if (lost !== undefined) this.#parts.containers.endProcesses(LOST_STATUS);
    const agent = await this.#booted.catch(() => undefined);
    if (agent !== undefined && lost === undefined) await destroyGuest(agent, { id, log });
    this.#parts.containers.endProcesses(KILLED_STATUS);
    try {
      await this.#parts.owner.disposeAsync();
    } catch (error) {
      log.error("Cannot clean up all of a sandbox", { sandbox: id, error });
    }
    log.info("Sandbox is gone", { sandbox: id, reason: lost ?? "it was stopped" });
    this.#resolveEnded(lost ?? "it was stopped");
  }

  /** Stops the sandbox once its container's output has ended. A removal cuts that short: its reader is gone. */
  async #stopAfter(container: Container): Promise<void> {
    await Promise.race([container.finished(), this.ended]);
    await this.stop();
  }

  #save(): void {
    rewriteState(this.#parts.runDir, this.#state(), this.#options.log);
  }

  #state(): SandboxState {
    const { id, owner } = this.#options;
    return {
      id,
      ...owner,
      shim: { pid: Deno.pid, startTime: startTime(Deno.pid) ?? "" },
      cgroups: this.#parts.host.cgroups?.directories ?? [],
      containers: this.#parts.containers.list(),
    };
  }
}
