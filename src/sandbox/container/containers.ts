/** The containers of one sandbox. @module */
import { awaitAll } from "../../base/async.ts";
import { KataError } from "../../base/error.ts";
import type { PidNamespace } from "../agent/containers.ts";
import type { Container } from "./container.ts";
import type { ContainerOptions } from "./options.ts";
import { pidNamespaceOf } from "./pid_namespace.ts";
import type { Process } from "./process.ts";

/** Disposing it lets go of what they have on the host, of all of them at once. */
export class Containers implements AsyncDisposable {
  readonly #sandboxId: string;
  readonly #byId = new Map<string, Container>();

  constructor(sandboxId: string) {
    this.#sandboxId = sandboxId;
  }

  get byId(): ReadonlyMap<string, Container> {
    return this.#byId;
  }

  /** @throws {KataError} NOT_FOUND. */
  get(id: string): Container {
    const container = this.#byId.get(id);
    if (container !== undefined) return container;
    throw new KataError("NOT_FOUND", `Cannot find container "${id}" in sandbox "${this.#sandboxId}"`);
  }

  /** @throws {KataError} ALREADY_EXISTS: there is one with this id. */
  mustNotHave(id: string): void {
    if (this.#byId.has(id)) throw new KataError("ALREADY_EXISTS", `Cannot create container "${id}": it exists`);
  }

  /** @throws {KataError} As {@linkcode pidNamespaceOf}. */
  pidNamespaceOf({ id, type, spec }: Pick<ContainerOptions, "id" | "type" | "spec">): PidNamespace {
    const all = [...this.#byId.values()].filter((container) => container.id !== this.#sandboxId);
    const others = all.map(({ id, pidNamespace, init: { status } }) => ({ id, pidNamespace, status }));
    return pidNamespaceOf(spec, { id, type, others });
  }

  add(container: Container): void {
    this.#byId.set(container.id, container);
  }

  /** @returns Whether it was there. */
  delete(id: string): boolean {
    return this.#byId.delete(id);
  }

  /** Processes of all containers. */
  get processes(): readonly Process[] {
    return [...this.#byId.values()].flatMap(({ processes }) => processes);
  }

  /** Ends every process with this status, for the host: nothing is sent to the guest. */
  endProcesses(status: number): void {
    for (const process of this.processes) process.end(status);
  }

  /** For the state on disk. */
  list(): { id: string; bundle: string }[] {
    return [...this.#byId.values()].map(({ id, bundle }) => ({ id, bundle }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await awaitAll([...this.#byId.values()].map((container) => container[Symbol.asyncDispose]()));
  }
}
