/** Reads `/proc/PID/status` for the signals of a process. @module */
import { SIGNALS } from "../../linux/process/signal.ts";

/**
 * The signal to send instead of `signal` to a container's init process.
 *
 * The first process of a PID namespace never sees a signal that it does nothing about, so a plain `sleep` could not be
 * asked to end. A SIGTERM that it neither blocks (as `tini` does, to wait for it), ignores nor handles becomes SIGKILL.
 *
 * @param status Text of `/proc/PID/status`.
 * @see https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
 */
export function effectiveInitSignal(signal: number, status: string): number {
  if (signal !== SIGNALS.SIGTERM) return signal;
  const masks = ["SigBlk", "SigIgn", "SigCgt"].map((name) => signalMask(status, name));
  const bit = 1n << BigInt(SIGNALS.SIGTERM - 1);
  return masks.some((mask) => (mask & bit) !== 0n) ? signal : SIGNALS.SIGKILL;
}

function signalMask(status: string, name: string): bigint {
  const match = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, "m").exec(status);
  return match === null ? 0n : BigInt(`0x${match[1]}`);
}
