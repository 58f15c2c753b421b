/** Memory of a cgroup on v1. @see https://docs.kernel.org/admin-guide/cgroup-v1/memory.html @module */
import { readCgroupFile, readCgroupValue, readFlatKeyed, writeCgroupFile } from "../../../linux/cgroup/file.ts";
import type { MemoryResources } from "../../spec/spec.ts";
import { checkMemoryUpdate } from "../limit.ts";
import { type MemoryCounter, type MemoryStats, NO_LIMIT } from "../stats.ts";

export function applyMemory(cgroup: string, memory: MemoryResources): void {
  checkMemoryUpdate(memory, () => readCgroupValue(cgroup, "memory.usage_in_bytes"));
  applyLimits(cgroup, BigInt(memory.limit ?? 0), BigInt(memory.swap ?? 0));
  const { reservation, kernelTCP, disableOOMKiller } = memory;
  if (reservation) writeCgroupFile(cgroup, "memory.soft_limit_in_bytes", reservation);
  // The kernel ignores memory.kmem.limit_in_bytes since 5.4 and refuses it since 6.1: `kernel` is not written.
  if (kernelTCP) writeCgroupFile(cgroup, "memory.kmem.tcp.limit_in_bytes", kernelTCP);
  const swappiness = BigInt.asIntN(64, BigInt(memory.swappiness ?? NOT_SET));
  if (swappiness > 100n) {
    throw new RangeError(`Cannot set a swappiness of ${swappiness}: 0 to 100 are possible`);
  }
  if (swappiness >= 0n) writeCgroupFile(cgroup, "memory.swappiness", swappiness);
  if (disableOOMKiller === true) writeCgroupFile(cgroup, "memory.oom_control", 1);
}

/** Some clients write it as an unsigned number of 64 bits. */
const NOT_SET = -1;

/** Memory may never exceed memory and swap together, so growing writes the sum first and shrinking writes it last. */
function applyLimits(cgroup: string, limit: bigint, swapOrNone: bigint): void {
  const hasSwap = readCgroupFile(cgroup, "memory.memsw.limit_in_bytes") !== undefined;
  // Without a limit on memory, an old one on the sum would stay in force.
  const swap = limit === -1n && swapOrNone === 0n && hasSwap ? -1n : swapOrNone;
  const writeLimit = () => {
    if (limit !== 0n) writeCgroupFile(cgroup, "memory.limit_in_bytes", limit);
  };
  const writeSwap = () => {
    if (swap !== 0n) writeCgroupFile(cgroup, "memory.memsw.limit_in_bytes", swap);
  };
  const before = readCgroupValue(cgroup, "memory.limit_in_bytes");
  const grows = swap === -1n || (typeof before === "bigint" && before < swap);
  for (const write of grows ? [writeSwap, writeLimit] : [writeLimit, writeSwap]) write();
}

export function memoryStats(cgroup: string): MemoryStats {
  const stat = readFlatKeyed(cgroup, "memory.stat");
  return {
    cache: stat.get("cache") ?? 0n,
    usage: counter(cgroup, "memory"),
    swap: counter(cgroup, "memory.memsw"),
    kernel: counter(cgroup, "memory.kmem"),
    kernelTcp: counter(cgroup, "memory.kmem.tcp"),
    useHierarchy: readCgroupFile(cgroup, "memory.use_hierarchy") === "1",
    stat,
  };
}

function counter(cgroup: string, prefix: string): MemoryCounter {
  const read = (file: string) => {
    const value = readCgroupValue(cgroup, `${prefix}.${file}`);
    return typeof value === "bigint" ? value : 0n;
  };
  return {
    usage: read("usage_in_bytes"),
    maxUsage: read("max_usage_in_bytes"),
    failures: read("failcnt"),
    limit: read("limit_in_bytes") || NO_LIMIT,
  };
}
