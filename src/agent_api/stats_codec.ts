/** Converts usage of a cgroup to the message of the agent's API, and back. Pure. @module */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CgroupStats, IoStats, MemoryCounter, MemoryStats } from "../oci/cgroup/stats.ts";
import type {
  BlkioStats,
  BlkioStatsEntry,
  CgroupStats as WireStats,
  CgroupStatsSchema,
  MemoryData,
  MemoryStats as WireMemory,
} from "../proto/agent_pb.ts";

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

/** Reads the message. A field that the message lacks is 0, or empty. */
export function statsFromWire(wire: WireStats): CgroupStats {
  const { cpuUsage, throttlingData } = wire.cpuStats ?? {};
  const { periods = 0n, throttledPeriods = 0n, throttledTime = 0n } = throttlingData ?? {};
  const { current = 0n, limit = 0n } = wire.pidsStats ?? {};
  return {
    cpu: {
      total: cpuUsage?.totalUsage ?? 0n,
      user: cpuUsage?.usageInUsermode ?? 0n,
      system: cpuUsage?.usageInKernelmode ?? 0n,
      perCpu: cpuUsage?.percpuUsage ?? [],
      perCpuUser: [],
      perCpuSystem: [],
      throttling: { periods, throttledPeriods, throttledTime },
    },
    memory: memoryFromWire(wire.memoryStats),
    pids: { current, limit },
    io: ioFromWire(wire.blkioStats),
    hugetlb: new Map(
      Object.entries(wire.hugetlbStats).map(([size, { usage, maxUsage, failcnt }]) => [
        size,
        { usage, maxUsage, failures: failcnt },
      ]),
    ),
  };
}

function memoryFromWire(wire: WireMemory | undefined): MemoryStats {
  return {
    cache: wire?.cache ?? 0n,
    usage: counterFromWire(wire?.usage),
    swap: counterFromWire(wire?.swapUsage),
    kernel: counterFromWire(wire?.kernelUsage),
    useHierarchy: wire?.useHierarchy ?? false,
    stat: new Map(Object.entries(wire?.stats ?? {})),
  };
}

function counterFromWire(wire: MemoryData | undefined): MemoryCounter {
  const { usage = 0n, maxUsage = 0n, failcnt = 0n, limit = 0n } = wire ?? {};
  return { usage, maxUsage, failures: failcnt, limit };
}

function ioFromWire(wire: BlkioStats | undefined): IoStats {
  const entries = (list: readonly BlkioStatsEntry[] = []) =>
    list.map(({ major, minor, op, value }) => ({ major, minor, op, value }));
  return {
    serviceBytes: entries(wire?.ioServiceBytesRecursive),
    serviced: entries(wire?.ioServicedRecursive),
    queued: entries(wire?.ioQueuedRecursive),
    serviceTime: entries(wire?.ioServiceTimeRecursive),
    waitTime: entries(wire?.ioWaitTimeRecursive),
    merged: entries(wire?.ioMergedRecursive),
    time: entries(wire?.ioTimeRecursive),
    sectors: entries(wire?.sectorsRecursive),
  };
}
