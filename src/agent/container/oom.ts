/** Containers in which the kernel killed a process for lack of memory, in order, for GetOOMEvent. @module */
import { abortable } from "../../base/async.ts";

/** Most containers that wait for GetOOMEvent; further ones are dropped, for a caller who asks so late. */
const MOST = 1024;

/**
 * Events wait here until GetOOMEvent fetches them, one each. A container that waits already is not noted again: one that
 * runs out of memory over and over cannot fill the agent's.
 */
export class OomQueue {
  readonly #containers = new Set<string>();
  #arrival = Promise.withResolvers<void>();

  push(containerId: string): void {
    if (this.#containers.size >= MOST) return;
    this.#containers.add(containerId);
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
  }

  /** Waits for the next event. @throws The signal's reason. */
  async next(signal: AbortSignal): Promise<string> {
    for (;;) {
      const [containerId] = this.#containers;
      if (containerId !== undefined) {
        this.#containers.delete(containerId);
        return containerId;
      }
      await abortable(this.#arrival.promise, signal);
    }
  }
}
