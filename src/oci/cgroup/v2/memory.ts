/** Memory of a cgroup on v2. @see https://docs.kernel.org/admin-guide/cgroup-v2.html#memory @module */
import { readCgroupValue, readFlatKeyed, writeCgroupFile, writeCgroupFileIfThere } from "../../../linux/cgroup/file.ts";
import type { MemoryResources } from "../../spec/spec.ts";
import { checkMemoryUpdate } from "../limit.ts";
import { type MemoryCounter, type MemoryStats, NO_LIMIT } from "../stats.ts";

/** @throws {RangeError} The limits contradict each other. */
export function applyMemory(cgroup: string, memory: MemoryResources): void {
  const limit = BigInt(memory.limit ?? 0);
  checkMemoryUpdate(memory, () => readCgroupValue(cgroup, "memory.current"));
  const swap = swapMax(memory);
  // Before the limit: the swap would otherwise be unbounded for a moment, and that moment may be the overcommitted one.
  if (swap !== undefined) limitSwap(cgroup, swap);
  if (limit !== 0n) writeCgroupFile(cgroup, "memory.max", orMax(limit));
  const reservation = BigInt(memory.reservation ?? 0);
  if (reservation !== 0n) writeCgroupFile(cgroup, "memory.low", orMax(reservation));
}

/** Where swap is not counted, all of it is allowed to everybody, and none is more than most such machines have. */
function limitSwap(cgroup: string, swap: bigint): void {
  const write = swap > 0n ? writeCgroupFile : writeCgroupFileIfThere;
  write(cgroup, "memory.swap.max", orMax(swap));
}

/** The specification counts swap together with memory, v2 alone. */
export function swapMax({ limit = 0, swap = 0 }: MemoryResources): bigint | undefined {
  const [memory, both] = [BigInt(limit), BigInt(swap)];
  if (both === -1n) return -1n;
  if (both === 0n) return memory === -1n ? -1n : undefined;
  // Of memory without a limit nothing can be taken off.
  if (memory === -1n) return both;
  if (memory <= 0n) throw new RangeError(`Cannot limit memory and swap to ${both} bytes: there is no memory limit`);
  if (both < memory) {
    throw new RangeError(`Cannot limit memory and swap to ${both} bytes: the memory limit is larger, ${memory} bytes`);
  }
  return both - memory;
}

function orMax(value: bigint): string {
  return value < 0n ? "max" : String(value);
}

export function memoryStats(cgroup: string): MemoryStats {
  const stat = readFlatKeyed(cgroup, "memory.stat");
  const events = readFlatKeyed(cgroup, "memory.events");
  const none = { usage: 0n, maxUsage: 0n, failures: 0n, limit: NO_LIMIT };
  return {
    cache: stat.get("file") ?? 0n,
    usage: counter(cgroup, "memory", events.get("max") ?? 0n),
    swap: counter(cgroup, "memory.swap", readFlatKeyed(cgroup, "memory.swap.events").get("fail") ?? 0n),
    kernel: { ...none, usage: stat.get("kernel") ?? 0n },
    useHierarchy: true,
    stat,
  };
}

function counter(cgroup: string, prefix: string, failures: bigint): MemoryCounter {
  const read = (file: string, absent: bigint) => {
    const value = readCgroupValue(cgroup, `${prefix}.${file}`);
    return value === undefined ? absent : value === "max" ? NO_LIMIT : value;
  };
  return { usage: read("current", 0n), maxUsage: read("peak", 0n), failures, limit: read("max", NO_LIMIT) };
}
