/** Deadlines of calls, at both ends. @module */
import { Code, type ConnectError } from "@connectrpc/connect";
import { MAX_TIMER_MS } from "../../base/clock.ts";
import { rpcError } from "./errors.ts";

/** Deadlines this far away may be late by as much as their grain. */
const FAR_MS = 10_000;
const GRAIN_MS = 1_000;

/** @returns The timer that calls `onLate` after `timeoutMs`, for clearTimeout; undefined where that is as good as never. */
export function startDeadline(
  timeoutMs: number,
  onLate: (error: ConnectError) => void,
): ReturnType<typeof setTimeout> | undefined {
  if (timeoutMs > MAX_TIMER_MS) return undefined;
  const late = () => onLate(rpcError(`No answer within ${timeoutMs} ms`, Code.DeadlineExceeded));
  return setTimeout(late, timerMs(timeoutMs));
}

/**
 * Rounds a long delay up. Deno keeps a list for each distinct delay until that has passed, even if its timers were
 * cleared. The rest of a deadline differs from call to call, so each call would leave a list behind, for minutes.
 */
export function timerMs(timeoutMs: number): number {
  return timeoutMs > FAR_MS ? Math.ceil(timeoutMs / GRAIN_MS) * GRAIN_MS : Math.max(0, timeoutMs);
}
