/** Waiting, repeating and excluding, each bounded by a signal. @module */
import { type Clock, systemClock } from "./clock.ts";

export interface RetryOptions {
  signal: AbortSignal;
  /** Pause between two attempts, in milliseconds. */
  everyMs: number;
  /** Errors for which another attempt is useless end the loop. */
  isFinal?: (error: unknown) => boolean;
  clock?: Clock;
}

/**
 * Calls `attempt` until it succeeds.
 *
 * @throws The last error of `attempt` when the signal fires (the signal's own reason if no attempt has failed yet).
 */
export async function retry<T>(attempt: () => T | Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, everyMs, isFinal = () => false, clock = systemClock } = options;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error;
      try {
        await clock.sleep(everyMs, signal);
      } catch {
        throw error;
      }
    }
  }
}

/** Mutual exclusion in order of arrival: `using _ = await mutex.lock()`. */
export class Mutex {
  #last: Promise<void> = Promise.resolve();

  async lock(): Promise<Disposable> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#last;
    this.#last = promise;
    await before;
    return { [Symbol.dispose]: resolve };
  }
}

/** Waits for all of them, also if one fails; then throws what the first of those has thrown. */
export async function awaitAll(promises: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === "rejected") throw result.reason;
}

/** Settles as `promise` does, or rejects with the signal's reason if that comes first. `promise` itself goes on. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Nobody awaits the promise any more, so its failure must not count as unhandled.
  if (signal.aborted) promise.catch(() => {});
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
