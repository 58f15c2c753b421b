/** The agent's statistics in the two forms that containerd knows, after the host's cgroup version. Pure. @module */
import type { DescMessage } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type {
  BlkioStatsEntry,
  CgroupStats,
  MemoryData,
  NetworkStats,
  StatsContainerResponse,
} from "../proto/agent_pb.ts";
import * as v1 from "../proto/cgroups_v1_pb.ts";
import * as v2 from "../proto/cgroups_v2_pb.ts";
import { packAny } from "../rpc/ttrpc/any.ts";

const NS_PER_US = 1000n;
/** The largest uint64. */
const MOST = 2n ** 64n - 1n;

/** @returns `io.containerd.cgroups.v1.Metrics` or `v2.Metrics`, packed. */
export function toMetrics(stats: StatsContainerResponse, version: "v1" | "v2"): Any {
  const cgroup = stats.cgroupStats;
  const network = stats.networkStats.map(networkStat);
  if (version === "v1") {
    return packAny(v1.MetricsSchema, { ...(cgroup && metricsV1(cgroup)), network });
  }
  return packAny(v2.MetricsSchema, { ...(cgroup && metricsV2(cgroup)), network });
}

function metricsV1(stats: CgroupStats) {
  const { cpuStats: cpu, memoryStats: memory, pidsStats: pids, blkioStats: blkio } = stats;
  return {
    cpu: {
      usage: {
        total: cpu?.cpuUsage?.totalUsage ?? 0n,
        kernel: cpu?.cpuUsage?.usageInKernelmode ?? 0n,
        user: cpu?.cpuUsage?.usageInUsermode ?? 0n,
        perCpu: cpu?.cpuUsage?.percpuUsage ?? [],
      },
      throttling: pick(cpu?.throttlingData, ["periods", "throttledPeriods", "throttledTime"]),
    },
    memory: {
      ...byName(v1.MemoryStatSchema, memory?.stats ?? {}),
      cache: memory?.cache ?? 0n,
      usage: memoryEntry(memory?.usage),
      swap: memoryEntry(memory?.swapUsage),
      kernel: memoryEntry(memory?.kernelUsage),
    },
    pids: pick(pids, ["current", "limit"]),
    blkio: {
      ioServiceBytesRecursive: (blkio?.ioServiceBytesRecursive ?? []).map(ioEntry),
      ioServicedRecursive: (blkio?.ioServicedRecursive ?? []).map(ioEntry),
      ioQueuedRecursive: (blkio?.ioQueuedRecursive ?? []).map(ioEntry),
      ioServiceTimeRecursive: (blkio?.ioServiceTimeRecursive ?? []).map(ioEntry),
      ioWaitTimeRecursive: (blkio?.ioWaitTimeRecursive ?? []).map(ioEntry),
      ioMergedRecursive: (blkio?.ioMergedRecursive ?? []).map(ioEntry),
      ioTimeRecursive: (blkio?.ioTimeRecursive ?? []).map(ioEntry),
      sectorsRecursive: (blkio?.sectorsRecursive ?? []).map(ioEntry),
    },
    hugetlb: Object.entries(stats.hugetlbStats).map(([pagesize, { usage, maxUsage, failcnt }]) => {
      return { pagesize, usage, max: maxUsage, failcnt };
    }),
  };
}

function metricsV2(stats: CgroupStats) {
  const { cpuStats: cpu, memoryStats: memory, pidsStats: pids, blkioStats: blkio } = stats;
  return {
    cpu: {
      usageUsec: (cpu?.cpuUsage?.totalUsage ?? 0n) / NS_PER_US,
      userUsec: (cpu?.cpuUsage?.usageInUsermode ?? 0n) / NS_PER_US,
      systemUsec: (cpu?.cpuUsage?.usageInKernelmode ?? 0n) / NS_PER_US,
      nrPeriods: cpu?.throttlingData?.periods ?? 0n,
      nrThrottled: cpu?.throttlingData?.throttledPeriods ?? 0n,
      throttledUsec: (cpu?.throttlingData?.throttledTime ?? 0n) / NS_PER_US,
    },
    memory: {
      ...byName(v2.MemoryStatSchema, memory?.stats ?? {}),
      usage: memory?.usage?.usage ?? 0n,
      usageLimit: memory?.usage?.limit ?? 0n,
      maxUsage: memory?.usage?.maxUsage ?? 0n,
      swapUsage: memory?.swapUsage?.usage ?? 0n,
      swapLimit: memory?.swapUsage?.limit ?? 0n,
    },
    pids: pick(pids, ["current", "limit"]),
    io: { usage: ioByDevice(blkio?.ioServiceBytesRecursive ?? [], blkio?.ioServicedRecursive ?? []) },
    hugetlb: Object.entries(stats.hugetlbStats).map(([pagesize, { usage, maxUsage, failcnt }]) => {
      return { pagesize, current: usage, max: maxUsage, failcnt };
    }),
  };
}

/** The file `memory.stat` and the message name the same counters, but for underscores: `pgpgin`, `pg_pg_in`. */
function byName(schema: DescMessage, counters: Readonly<Record<string, bigint>>): Record<string, bigint> {
  const plain = new Map(Object.entries(counters).map(([name, value]) => [name.replaceAll("_", ""), value]));
  const entries = schema.fields.flatMap((field) => {
    const value = field.fieldKind === "scalar" ? plain.get(field.name.replaceAll("_", "")) : undefined;
    return value === undefined ? [] : [[field.localName, value]];
  });
  return Object.fromEntries(entries);
}

/** Only the named fields: another message's own type name must not come along. */
function pick<T extends object, K extends keyof T>(value: T | undefined, names: readonly K[]): { [N in K]?: T[N] } {
  return Object.fromEntries(value === undefined ? [] : names.map((name) => [name, value[name]])) as { [N in K]?: T[N] };
}

function memoryEntry(data: MemoryData | undefined) {
  const { limit = 0n, usage = 0n, maxUsage = 0n, failcnt = 0n } = data ?? {};
  return { limit, usage, max: maxUsage, failcnt };
}

function ioEntry({ op, major, minor, value }: BlkioStatsEntry) {
  return { op, major, minor, value };
}

function ioByDevice(
  bytes: readonly BlkioStatsEntry[],
  requests: readonly BlkioStatsEntry[],
) {
  const devices = new Map<string, IoUsage>();
  add(devices, bytes, BYTES);
  add(devices, requests, REQUESTS);
  return [...devices.values()];
}

interface IoUsage {
  major: bigint;
  minor: bigint;
  rbytes: bigint;
  wbytes: bigint;
  rios: bigint;
  wios: bigint;
}
type Counter = Exclude<keyof IoUsage, "major" | "minor">;
const BYTES: ReadonlyMap<string, Counter> = new Map([["read", "rbytes"], ["write", "wbytes"]]);
const REQUESTS: ReadonlyMap<string, Counter> = new Map([["read", "rios"], ["write", "wios"]]);

/** In one pass, however many there are. A sum beyond what its field holds stays at the most. */
function add(
  devices: Map<string, IoUsage>,
  entries: readonly BlkioStatsEntry[],
  counters: ReadonlyMap<string, Counter>,
): void {
  for (const { major, minor, op, value } of entries) {
    const key = `${major}:${minor}`;
    const usage = devices.get(key) ?? { major, minor, rbytes: 0n, wbytes: 0n, rios: 0n, wios: 0n };
    devices.set(key, usage);
    const counter = counters.get(op.toLowerCase());
    if (counter === undefined) continue;
    const total = usage[counter] + value;
    usage[counter] = total > MOST ? MOST : total;
  }
}

function networkStat(stats: NetworkStats) {
  const { name, rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped } = stats;
  return { name, rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped };
}
