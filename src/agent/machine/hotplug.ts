/** CPUs and memory that the host plugged in, brought into use through sysfs. @module */
import { errorCode, KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { namesIn } from "../devices/address.ts";
import type { DeviceWaiter } from "../devices/waiter.ts";

const APPEAR_MS = 5_000;

/** Where the kernel shows its devices: `/sys/devices/system`, or a directory like it. */
export const SYSTEM_DEVICES = "/sys/devices/system";

export interface OnlineCpusOptions {
  devices: DeviceWaiter;
  root?: string;
  signal: AbortSignal;
  timeoutMs?: number;
}

/**
 * Brings CPUs into use until `count` more are, waiting for those that are yet to appear.
 *
 * @param count How many were plugged in; 0 for none.
 * @throws {KataError} DEADLINE_EXCEEDED after five seconds.
 */
export async function onlineCpus(count: number, options: OnlineCpusOptions): Promise<void> {
  if (count <= 0) return;
  const { devices, root = SYSTEM_DEVICES, signal, timeoutMs = APPEAR_MS } = options;
  let done = 0;
  const look = () => {
    done += onlineAll(`${root}/cpu`, { matching: /^cpu\d+$/, atMost: count - done });
    return done >= count ? true : undefined;
  };
  try {
    await devices.until({ kind: "cpu", count }, look, { signal, timeoutMs });
  } catch (cause) {
    if (errorCode(cause) !== "NOT_FOUND") throw cause;
    const what = `Cannot bring ${count} CPUs into use: only ${done} have appeared`;
    throw new KataError("DEADLINE_EXCEEDED", what, { cause });
  }
}

/** Brings every block of memory into use that is not. */
export function onlineMemory(root: string = SYSTEM_DEVICES): void {
  onlineAll(`${root}/memory`, { matching: /^memory\d+$/, atMost: Infinity });
}

/** @returns How many were switched on. */
function onlineAll(directory: string, { matching, atMost }: { matching: RegExp; atMost: number }): number {
  let done = 0;
  for (const name of namesIn(directory)) {
    if (done >= atMost) break;
    if (matching.test(name) && switchOn(`${directory}/${name}/online`)) done++;
  }
  return done;
}

/** @returns False if it is on already, or cannot be switched, as CPU 0 of many machines. */
function switchOn(path: string): boolean {
  try {
    if (Deno.readTextFileSync(path).trim() !== "0") return false;
    Deno.writeTextFileSync(path, "1");
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT", "EBUSY")) return false;
    throw error;
  }
}
