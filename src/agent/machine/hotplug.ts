/** CPUs and memory that the host plugged in, brought into use through sysfs. @module */
import { errorCode, KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { namesIn } from "../devices/address.ts";
import type { DeviceWaiter } from "../devices/waiter.ts";

/** Far more than a loaded machine takes: what is late is an error. */
const APPEAR_MS = 10_000;

/** Where the kernel shows its devices: `/sys/devices/system`, or a directory like it. */
export const SYSTEM_DEVICES = "/sys/devices/system";

export interface OnlineOptions {
  devices: DeviceWaiter;
  root?: string;
  signal: AbortSignal;
  timeoutMs?: number;
}

/**
 * Brings CPUs into use until so many are, waiting for those that are yet to appear.
 *
 * @param total Of all that shall be in use; those that are count. 0: none was plugged in.
 * @throws {KataError} DEADLINE_EXCEEDED after ten seconds.
 */
export async function onlineCpus(total: number, options: OnlineOptions): Promise<void> {
  if (total <= 0) return;
  const { devices, root = SYSTEM_DEVICES, signal, timeoutMs = APPEAR_MS } = options;
  let used = 0;
  const look = () => {
    used = cpusInUse(root);
    used += onlineAll(`${root}/cpu`, { matching: CPU, atMost: total - used });
    return used >= total ? true : undefined;
  };
  await devices.until({ kind: "cpu", total }, look, { signal, timeoutMs }).catch((cause) => {
    throw tooLate(cause, `Cannot bring ${total} CPUs into use: only ${used} are there`);
  });
}

const CPU = /^cpu\d+$/;

function cpusInUse(root: string): number {
  return namesIn(`${root}/cpu`).filter((name) => CPU.test(name) && isInUse(`${root}/cpu/${name}/online`)).length;
}

/** A CPU without a switch is always in use, as CPU 0 of many machines. */
function isInUse(path: string): boolean {
  try {
    return Deno.readTextFileSync(path).trim() === "1";
  } catch (error) {
    if (isErrno(error, "ENOENT")) return true;
    throw error;
  }
}

/**
 * Brings every block of memory into use that is not. The host is told that memory is plugged in before the kernel has found
 * it, so it is waited for, unless the kernel brings it into use by itself.
 *
 * @throws {KataError} DEADLINE_EXCEEDED after ten seconds without any.
 */
export async function onlineNewMemory(options: OnlineOptions): Promise<void> {
  const { devices, root = SYSTEM_DEVICES, signal, timeoutMs = APPEAR_MS } = options;
  const look = () => onlineMemory(root) > 0 || kernelOnlinesMemory(root) ? true : undefined;
  await devices.until({ kind: "memory" }, look, { signal, timeoutMs }).catch((cause) => {
    throw tooLate(cause, "Cannot bring memory into use: none has appeared");
  });
}

/** Brings every block of memory into use that is there and not in use. @returns How many. */
export function onlineMemory(root: string = SYSTEM_DEVICES): number {
  const bring = () => onlineAll(`${root}/memory`, { matching: /^memory\d+$/, atMost: Infinity });
  const done = bring();
  // The blocks of a module appear one after the other, and the first is in use only when the last is there.
  return done === 0 ? 0 : done + bring();
}

/** As {@linkcode onlineMemory}, and what the kernel finds later is in use at once, for a host that waits for nothing. */
export function onlineMemoryFromNowOn(root: string = SYSTEM_DEVICES): void {
  if (!kernelOnlinesMemory(root)) Deno.writeTextFileSync(autoOnline(root), "online");
  onlineMemory(root);
}

function autoOnline(root: string): string {
  return `${root}/memory/auto_online_blocks`;
}

/** Whether new blocks are in use at once; a kernel without memory hotplug has none. */
function kernelOnlinesMemory(root: string): boolean {
  try {
    return Deno.readTextFileSync(autoOnline(root)).trim() !== "offline";
  } catch (error) {
    if (isErrno(error, "ENOENT")) return true;
    throw error;
  }
}

function tooLate(cause: unknown, what: string): unknown {
  return errorCode(cause) === "NOT_FOUND" ? new KataError("DEADLINE_EXCEEDED", what, { cause }) : cause;
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
