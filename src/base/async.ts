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

/** Places for so many holders at a time. One that waits is kept once, however long the others stay. */
export class Places {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Waits for a free place, in order of arrival. Dispose it once. */
  async take(): Promise<Disposable> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return { [Symbol.dispose]: () => this.#free += this.#passOn() };
  }

  /** @returns How many places nobody has taken over. */
  #passOn(): 0 | 1 {
    const next = this.#waiting.shift();
    next?.();
    return next === undefined ? 1 : 0;
  }
}

/** Waits for all of them, also if one fails; then throws what the first of those has thrown. */
export async function awaitAll(promises: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === "rejected") throw result.reason;
}

/** Waiters for one promise, by {@linkcode abortable}. */
type Waiters<T> = Set<PromiseWithResolvers<T>>;

const waitersByPromise = new WeakMap<Promise<unknown>, Waiters<unknown>>();

/** A pending promise never lets go of what was added to it, so one reaction is added, for all who ever wait for it. */
function waitersOf<T>(promise: Promise<T>): Waiters<T> {
  const known = waitersByPromise.get(promise);
  // By key, each set is of its promise's own type.
  if (known !== undefined) return known as Waiters<T>;
  const waiters: Waiters<T> = new Set();
  waitersByPromise.set(promise, waiters as Waiters<unknown>);
  promise.then(
    (value) => waiters.forEach(({ resolve }) => resolve(value)),
    (error) => waiters.forEach(({ reject }) => reject(error)),
  ).finally(() => waitersByPromise.delete(promise));
  return waiters;
}

/**
 * Settles as `promise` does, or rejects with the signal's reason if that comes first. `promise` itself goes on, and keeps
 * nothing of those who have given up.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Nobody awaits the promise any more, so its failure must not count as unhandled.
  if (signal.aborted) promise.catch(() => {});
  signal.throwIfAborted();
  const waiter = Promise.withResolvers<T>();
  const waiters = waitersOf(promise);
  waiters.add(waiter);
  const onAbort = () => waiter.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await waiter.promise;
  } finally {
    waiters.delete(waiter);
    signal.removeEventListener("abort", onAbort);
  }
}
