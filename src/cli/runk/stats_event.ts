/** A cgroup's statistics with the field names of `runc events`, which Docker and monitoring tools read. @module */
import type { CgroupStats, IoEntry, MemoryCounter } from "../../oci/cgroup/stats.ts";

/** Counters stay bigints; the printer turns them into JSON numbers. */
export function statsEvent({ cpu, cpuset, memory, pids, io, hugetlb }: CgroupStats): Record<string, unknown> {
  return {
    cpu: {
      usage: {
        total: cpu.total,
        percpu: cpu.perCpu,
        percpu_kernel: cpu.perCpuSystem,
        percpu_user: cpu.perCpuUser,
        kernel: cpu.system,
        user: cpu.user,
      },
      throttling: {
        periods: cpu.throttling.periods,
        throttledPeriods: cpu.throttling.throttledPeriods,
        throttledTime: cpu.throttling.throttledTime,
      },
    },
    ...(cpuset && { cpuset }),
    memory: {
      cache: memory.cache,
      usage: counter(memory.usage),
      swap: counter(memory.swap),
      kernel: counter(memory.kernel),
      ...(memory.kernelTcp && { kernelTCP: counter(memory.kernelTcp) }),
      raw: Object.fromEntries(memory.stat),
    },
    pids,
    blkio: {
      ioServiceBytesRecursive: io.serviceBytes.map(entry),
      ioServicedRecursive: io.serviced.map(entry),
      ioQueueRecursive: io.queued.map(entry),
      ioServiceTimeRecursive: io.serviceTime.map(entry),
      ioWaitTimeRecursive: io.waitTime.map(entry),
      ioMergedRecursive: io.merged.map(entry),
      ioTimeRecursive: io.time.map(entry),
      sectorsRecursive: io.sectors.map(entry),
    },
    hugetlb: Object.fromEntries(
      [...hugetlb].map(([size, { usage, maxUsage, failures }]) => [size, { usage, max: maxUsage, failcnt: failures }]),
    ),
  };
}

function counter({ usage, maxUsage, failures, limit }: MemoryCounter): Record<string, bigint> {
  return { limit, usage, max: maxUsage, failcnt: failures };
}

function entry({ major, minor, op, value }: IoEntry): Record<string, unknown> {
  return { major, minor, op, value };
}
