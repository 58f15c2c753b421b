/** The containers that the kernel took memory from, in order, for whoever asks next. @module */
import { abortable } from "../base/async.ts";

/** Events wait here until GetOOMEvent fetches them, one each. */
export class OomQueue {
  readonly #containers: string[] = [];
  #arrival = Promise.withResolvers<void>();

  push(containerId: string): void {
    this.#containers.push(containerId);
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
  }

  /** Waits for the next event. @throws The signal's reason. */
  async next(signal: AbortSignal): Promise<string> {
    for (;;) {
      const containerId = this.#containers.shift();
      if (containerId !== undefined) return containerId;
      await abortable(this.#arrival.promise, signal);
    }
  }
}
