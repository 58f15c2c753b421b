/** Rules of limits that hold on both versions of cgroups. @module */
import type { MemoryResources } from "../spec/spec.ts";

/**
 * Refuses a memory limit below what is in use already, if the caller asked for this check: the kernel would kill.
 *
 * @param readUsage Bytes in use.
 */
export function checkMemoryUpdate(memory: MemoryResources, readUsage: () => bigint | "max" | undefined): void {
  const limit = BigInt(memory.limit ?? 0);
  if (memory.checkBeforeUpdate !== true || limit <= 0n) return;
  const usage = readUsage();
  if (typeof usage === "bigint" && usage > limit) {
    throw new RangeError(`Cannot limit memory to ${limit} bytes: ${usage} bytes are in use`);
  }
}
