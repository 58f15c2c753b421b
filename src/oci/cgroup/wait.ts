/** Waiting until a cgroup is in the state that was asked for. @module */
import { type Clock, systemClock } from "../../base/clock.ts";

const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 20;

export interface ReachOptions {
  signal?: AbortSignal;
  timeoutMs: number;
  clock?: Clock;
}

/**
 * Looks, and looks again, less and less often. The files have no event for these states on v1.
 *
 * @returns False if the time was over first.
 */
export async function reaches(isReached: () => boolean, options: ReachOptions): Promise<boolean> {
  const { signal, timeoutMs, clock = systemClock } = options;
  const end = clock.now() + timeoutMs;
  for (let pause = FIRST_PAUSE_MS;; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    if (isReached()) return true;
    if (clock.now() >= end) return false;
    await clock.sleep(pause, signal);
  }
}
