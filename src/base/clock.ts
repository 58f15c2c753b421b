/** Time as a value, so that tests can pass it in. @module */

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** @throws The signal's reason when it fires first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A longer delay makes a timer fire at once. Nobody waits for 24 days: it is as good as never. */
export const MAX_TIMER_MS = 0x7fff_ffff;

/** As `AbortSignal.timeout`, for what a configuration or a request may ask for: any number from 0. */
export function timeoutSignal(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.min(ms, MAX_TIMER_MS));
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, Math.min(ms, MAX_TIMER_MS));
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
};
