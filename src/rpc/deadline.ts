/** Deadlines of calls, at both ends. @module */
import { Code, type ConnectError } from "@connectrpc/connect";
import { rpcError } from "./errors.ts";

/** A longer delay makes a timer fire at once; nobody waits that long. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** @returns The timer that calls `onLate` after `timeoutMs`, for clearTimeout; undefined where that is as good as never. */
export function startDeadline(
  timeoutMs: number,
  onLate: (error: ConnectError) => void,
): ReturnType<typeof setTimeout> | undefined {
  if (timeoutMs > MAX_TIMER_MS) return undefined;
  const late = () => onLate(rpcError(`No answer within ${timeoutMs} ms`, Code.DeadlineExceeded));
  return setTimeout(late, Math.max(0, timeoutMs));
}
