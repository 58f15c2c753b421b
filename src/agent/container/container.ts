/** A container as the API sees it: the engine's container, its processes by exec id, and the storages it uses. @module */
import { KataError } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import type { Container } from "../../oci/container/container.ts";
import type { Process } from "../../oci/spec/spec.ts";
import { GuestProcess, INIT_EXEC_ID } from "./process.ts";

interface GuestContainerOptions {
  /** Storages and bundle of the container. Released once its processes are gone. */
  resources: AsyncDisposable;
  /** By which the host may call the first process, too, as Kata's shim in Go does. */
  initName: string;
  log: Logger;
}

/** One container of the sandbox. Disposing it takes everything away, running processes first. */
export class GuestContainer implements AsyncDisposable {
  readonly #processes = new Map<string, GuestProcess>();
  readonly #starting = new Set<string>();
  readonly #ending = new AbortController();
  readonly #background: Promise<void>[] = [];
  #isWatched = false;
  readonly #resources: AsyncDisposable;
  /** As {@linkcode GuestContainerOptions.initName}, until another process is called so. */
  #initName: string;
  readonly #log: Logger;

  /** @param container Created, not started. @param init Its first process. */
  constructor(readonly container: Container, readonly init: GuestProcess, options: GuestContainerOptions) {
    this.#resources = options.resources;
    this.#initName = options.initName;
    this.#log = options.log;
    this.#processes.set(INIT_EXEC_ID, init);
    this.#inBackground("Cannot end a container's other processes", this.#endWithInit());
  }

  /** Runs work that nobody awaits until the container is removed, so its failure is logged. */
  #inBackground(message: string, work: Promise<void>): void {
    this.#background.push(work.catch((error) => this.#log.warning(message, { container: this.id, error })));
  }

  get id(): string {
    return this.container.id;
  }

  /** Where processes share a PID namespace, the kernel does not end them with the first one (B7). */
  async #endWithInit(): Promise<void> {
    await this.init.exited;
    await this.container.kill(SIGNALS.SIGKILL, { all: true }).catch(ignoreGone);
  }

  #isInit(execId: string): boolean {
    return execId === INIT_EXEC_ID || execId === this.#initName;
  }

  /** @throws {KataError} NOT_FOUND. */
  process(execId: string): GuestProcess {
    const process = this.#processes.get(execId) ?? (this.#isInit(execId) ? this.init : undefined);
    if (process !== undefined) return process;
    throw new KataError("NOT_FOUND", `Cannot find process "${execId}" of container "${this.id}"`);
  }

  /**
   * Starts another process in the container.
   *
   * @throws {KataError} ALREADY_EXISTS if a process of that id runs.
   */
  async exec(execId: string, process: Process): Promise<void> {
    const before = this.#processes.get(execId);
    if (this.#starting.has(execId) || (before !== undefined && !before.hasExited)) {
      throw new KataError("ALREADY_EXISTS", `Cannot exec "${execId}" in container "${this.id}": it runs already`);
    }
    before?.[Symbol.dispose]();
    this.#starting.add(execId);
    try {
      const options = { terminal: process.terminal ?? false };
      const started = await GuestProcess.start(
        execId,
        options,
        (stdio) => this.container.exec(process, { stdio }),
      );
      this.#processes.set(execId, started);
      if (execId === this.#initName) this.#initName = INIT_EXEC_ID;
    } finally {
      this.#starting.delete(execId);
    }
  }

  /** Sends a signal to one process; SIGKILL of the first one takes all of them down (B7). */
  async signal(execId: string, signal: number): Promise<void> {
    if (this.#isInit(execId) && signal === SIGNALS.SIGKILL) {
      await this.container.kill(SIGNALS.SIGKILL, { all: true }).catch(ignoreGone);
    } else {
      this.process(execId).signal(signal);
    }
  }

  /** Drops an exec of which nothing more can be asked, so that health probes do not pile up. */
  forgetIfFinished(process: GuestProcess): void {
    if (process === this.init || !process.isFinished) return;
    process[Symbol.dispose]();
    if (this.#processes.get(process.execId) === process) this.#processes.delete(process.execId);
  }

  /** Tells `onOom` of each time the kernel killed one of its processes for lack of memory, until its end. */
  watchMemory(onOom: (containerId: string) => void): void {
    if (this.#isWatched) return;
    this.#isWatched = true;
    this.#inBackground("Cannot watch a container's memory", this.#watchMemory(onOom));
  }

  async #watchMemory(onOom: (containerId: string) => void): Promise<void> {
    const { signal } = this.#ending;
    try {
      for await (const _ of this.container.oomEvents({ signal })) onOom(this.id);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using undo = new AsyncDisposableStack();
    undo.use(this.#resources);
    undo.defer(() => this.#processes.forEach((process) => process[Symbol.dispose]()));
    await this.container.delete({ force: true });
    this.#ending.abort();
    await Promise.all(this.#background);
  }
}

function ignoreGone(error: unknown): void {
  if (!isErrno(error, "ESRCH", "ENOENT")) throw error;
}
