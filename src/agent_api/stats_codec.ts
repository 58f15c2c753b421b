/** What a cgroup has used, as the agent's API has it. Pure. @module */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CgroupStats, MemoryCounter } from "../oci/cgroup/stats.ts";
import type { CgroupStatsSchema } from "../proto/agent_pb.ts";

/** Limits that are absent are 2^64 - 1 on both sides. */
export function statsToWire(stats: CgroupStats): MessageInitShape<typeof CgroupStatsSchema> {
  const { cpu, memory, pids, io, hugetlb } = stats;
  return {
    cpuStats: {
      cpuUsage: {
        totalUsage: cpu.total,
        percpuUsage: cpu.perCpu,
        usageInKernelmode: cpu.system,
        usageInUsermode: cpu.user,
      },
      throttlingData: cpu.throttling,
    },
    memoryStats: {
      cache: memory.cache,
      usage: counter(memory.usage),
      swapUsage: counter(memory.swap),
      kernelUsage: counter(memory.kernel),
      useHierarchy: memory.useHierarchy,
      stats: Object.fromEntries(memory.stat),
    },
    pidsStats: pids,
    blkioStats: {
      ioServiceBytesRecursive: io.serviceBytes,
      ioServicedRecursive: io.serviced,
      ioQueuedRecursive: io.queued,
      ioServiceTimeRecursive: io.serviceTime,
      ioWaitTimeRecursive: io.waitTime,
      ioMergedRecursive: io.merged,
      ioTimeRecursive: io.time,
      sectorsRecursive: io.sectors,
    },
    hugetlbStats: Object.fromEntries(
      [...hugetlb].map(([size, { usage, maxUsage, failures }]) => [size, { usage, maxUsage, failcnt: failures }]),
    ),
  };
}

function counter({ usage, maxUsage, failures, limit }: MemoryCounter) {
  return { usage, maxUsage, failcnt: failures, limit };
}
