/**
 * Hooks that run on the host, at four moments of a container's life. Engines without CNI put interfaces into the VMM's
 * network namespace by them: the process that they are told of is the VMM.
 *
 * @module
 */
import type { Logger } from "../../base/log.ts";
import { runHooks, runPoststopHooks } from "../../oci/hooks/hooks.ts";
import type { Hooks, Spec } from "../../oci/spec/spec.ts";
import type { OciState, Status } from "../../oci/container/state.ts";

/** The container whose hooks they are. */
export interface HookSubject {
  id: string;
  bundle: string;
  spec: Spec;
}

export interface HostHooksOptions {
  /** Process of the VMM at the moment; 0 when it is gone. */
  pid: () => number;
  log: Logger;
}

const EARLY = ["prestart", "createRuntime"] as const satisfies readonly (keyof Hooks)[];

export class HostHooks {
  readonly #subject: HookSubject;
  readonly #options: HostHooksOptions;

  constructor(subject: HookSubject, options: HostHooksOptions) {
    this.#subject = subject;
    this.#options = options;
  }

  /**
   * Runs the hooks that come before a container is made.
   *
   * @returns Whether there were any. @throws {Error} The first that fails, with its words.
   */
  async runEarly(): Promise<boolean> {
    const { hooks } = this.#subject.spec;
    if (EARLY.every((kind) => hooks?.[kind] === undefined)) return false;
    const state = this.#state("creating");
    for (const kind of EARLY) await runHooks(kind, hooks, { state });
    return true;
  }

  /** Runs the hooks after a container's start. @throws {Error} The first that fails: the container is to be stopped. */
  async runPoststart(): Promise<void> {
    await runHooks("poststart", this.#subject.spec.hooks, { state: this.#state("running") });
  }

  /** Runs the hooks after a container's removal. That cannot be undone any more, so a hook that fails is only logged. */
  async runPoststop(): Promise<void> {
    await runPoststopHooks(this.#subject.spec.hooks, { state: this.#state("stopped"), log: this.#options.log });
  }

  #state(status: Status): OciState {
    const { id, bundle, spec: { ociVersion, annotations = {} } } = this.#subject;
    return { ociVersion, id, status, pid: this.#options.pid(), bundle, annotations };
  }
}
