/** The state of the guest: one sandbox with its containers, storages and shared namespaces. @module */
import { KataError } from "../base/error.ts";
import type { Fd } from "../linux/io/fd.ts";
import type { GuestContainer } from "./container/container.ts";
import { MappedNamespaces } from "./machine/mapped_namespaces.ts";
import type { SharedNamespaces } from "./machine/shared_namespaces.ts";
import { MachineSysctls } from "./container/mapped_spec.ts";
import { OomQueue } from "./container/oom.ts";
import { SharedMounts } from "./container/shared_mounts.ts";
import type { GuestProcess } from "./container/process.ts";
import { StorageRegistry } from "./storage/registry.ts";

/** Everything that CreateSandbox and the calls after it make. Disposing it (idempotent) ends all containers first. */
export class Sandbox implements AsyncDisposable {
  /** Empty until CreateSandbox was called. */
  id = "";
  /** Namespaces that the containers share; undefined until CreateSandbox was called. */
  namespaces: SharedNamespaces | undefined;
  /** Pid namespace of the first container that shares it; held open, so that its number is not reused. */
  pidNamespace: Fd | undefined;
  /** Of those containers whose ids are mapped, by their maps. */
  readonly mappedNamespaces: MappedNamespaces = new MappedNamespaces();
  /** Network sysctls that the containers share. */
  sysctls: MachineSysctls = new MachineSysctls();
  /** Directory of the guest's own hooks; empty if there is none. */
  guestHookPath = "";
  readonly storages: StorageRegistry = new StorageRegistry();
  readonly sharedMounts: SharedMounts = new SharedMounts();
  readonly oomEvents: OomQueue = new OomQueue();
  #resources = new AsyncDisposableStack();
  readonly #containers = new Map<string, GuestContainer>();
  readonly #creating = new Set<string>();

  /** Resources of the sandbox itself, held until its end. */
  get resources(): AsyncDisposableStack {
    return this.#resources;
  }

  containers(): GuestContainer[] {
    return [...this.#containers.values()];
  }

  /** @throws {KataError} NOT_FOUND. */
  container(id: string): GuestContainer {
    const container = this.#containers.get(id);
    if (container !== undefined) return container;
    throw new KataError("NOT_FOUND", `Cannot find container "${id}" in the sandbox`);
  }

  /** @throws {KataError} NOT_FOUND. */
  process({ containerId, execId }: { containerId: string; execId: string }): GuestProcess {
    return this.container(containerId).process(execId);
  }

  /**
   * Adds the container that `create` makes; its id is taken from now on.
   *
   * @throws {KataError} ALREADY_EXISTS.
   */
  async addContainer(id: string, create: () => Promise<GuestContainer>): Promise<void> {
    if (this.#containers.has(id) || this.#creating.has(id)) {
      throw new KataError("ALREADY_EXISTS", `Cannot create container "${id}": there is one of this id`);
    }
    this.#creating.add(id);
    try {
      this.#containers.set(id, await create());
    } finally {
      this.#creating.delete(id);
    }
  }

  /** Removes a container with all its resources. If that fails the container stays known, for another try. */
  async removeContainer(id: string): Promise<void> {
    await this.container(id)[Symbol.asyncDispose]();
    this.#containers.delete(id);
  }

  /** Ends the sandbox with all it holds, and is ready for another one. */
  async reset(): Promise<void> {
    await this[Symbol.asyncDispose]();
    this.id = "";
    this.guestHookPath = "";
    this.sysctls = new MachineSysctls();
    this.#resources = new AsyncDisposableStack();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using all = new AsyncDisposableStack();
    all.use(this.resources);
    all.use(this.storages);
    if (this.namespaces !== undefined) all.use(this.namespaces);
    this.namespaces = undefined;
    all.use(this.mappedNamespaces);
    this.pidNamespace?.[Symbol.dispose]();
    this.pidNamespace = undefined;
    all.defer(() => this.#containers.clear());
    // Newest first: the first container's process may be the one whose PID namespace all others are in.
    for (const container of this.#containers.values()) all.use(container);
  }
}
