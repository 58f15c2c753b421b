/** CPUs and memory that the host plugged in, brought into use through sysfs. @module */
import { KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";

const RETRY_MS = 50;
const RETRIES = 100;

/** Where the kernel shows its devices: `/sys/devices/system`, or a directory like it. */
export const SYSTEM_DEVICES = "/sys/devices/system";

export interface OnlineCpusOptions {
  root?: string;
  signal: AbortSignal;
}

/**
 * Brings CPUs into use until `count` more are, waiting for those that are yet to appear.
 *
 * @param count How many were plugged in; 0 for none.
 * @throws {KataError} DEADLINE_EXCEEDED after five seconds.
 */
export async function onlineCpus(count: number, { root = SYSTEM_DEVICES, signal }: OnlineCpusOptions): Promise<void> {
  let done = 0;
  for (let attempt = 0; done < count; attempt++) {
    done += onlineAll(`${root}/cpu`, { matching: /^cpu\d+$/, atMost: count - done });
    if (done >= count) return;
    signal.throwIfAborted();
    if (attempt >= RETRIES) {
      throw new KataError("DEADLINE_EXCEEDED", `Cannot bring ${count} CPUs into use: only ${done} have appeared`);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Brings every block of memory into use that is not. */
export function onlineMemory(root: string = SYSTEM_DEVICES): void {
  onlineAll(`${root}/memory`, { matching: /^memory\d+$/, atMost: Infinity });
}

/** @returns How many were switched on. */
function onlineAll(directory: string, { matching, atMost }: { matching: RegExp; atMost: number }): number {
  let done = 0;
  for (const { name } of readDirectory(directory)) {
    if (done >= atMost) break;
    if (matching.test(name) && switchOn(`${directory}/${name}/online`)) done++;
  }
  return done;
}

function readDirectory(path: string): Iterable<Deno.DirEntry> {
  try {
    return [...Deno.readDirSync(path)];
  } catch (error) {
    if (isErrno(error, "ENOENT")) return []; // a kernel without memory hotplug
    throw error;
  }
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
