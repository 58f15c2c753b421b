/** The programs that serve one VM besides its monitor: virtiofsd, a vsock daemon. Without any of them its guest hangs. @module */
import type { ProcessEnd, VmProcess } from "./vm_process.ts";

/** Disposing them ends them all. */
export class Daemons implements AsyncDisposable {
  readonly #all = new Map<string, VmProcess>();
  readonly #first = Promise.withResolvers<ProcessEnd>();

  /** Resolves with the first end of one that was not asked for. */
  get ended(): Promise<ProcessEnd> {
    return this.#first.promise;
  }

  get pids(): readonly number[] {
    return [...this.#all.values()].map(({ pid }) => pid);
  }

  /** Takes a process over. */
  add(process: VmProcess): void {
    this.#all.set(process.name, process);
    void process.ended.then((end) => {
      if (this.#all.get(process.name) === process) this.#first.resolve(end);
    });
  }

  /** Ends one that is no longer needed; nothing happens if there is none of this name. */
  async end(name: string): Promise<void> {
    await this.endAfter(name, () => {});
  }

  /** As {@linkcode end}, after what may make it end by itself. If that fails, it is needed as before. */
  async endAfter(name: string, act: () => unknown): Promise<void> {
    const process = this.#all.get(name);
    this.#all.delete(name);
    try {
      await act();
    } catch (error) {
      if (process !== undefined) this.add(process);
      throw error;
    }
    await process?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using all = new AsyncDisposableStack();
    for (const process of this.#all.values()) all.use(process);
  }
}
