/** Statistics in the two forms that containerd knows, after the host's cgroup version. Pure. @module */
import type { Any } from "@bufbuild/protobuf/wkt";
import type { LinkStatistics } from "../../linux/net/rtnetlink.ts";
import { type CgroupStats, type IoEntry, NO_LIMIT } from "../../oci/cgroup/stats.ts";
import * as v1 from "../../proto/cgroups_v1_pb.ts";
import * as v2 from "../../proto/cgroups_v2_pb.ts";
import { memoryV1, memoryV2 } from "./memory_metrics.ts";
import { packAny } from "../../rpc/ttrpc/any.ts";
import type { SandboxStats } from "../../sandbox/stats.ts";

const NS_PER_US = 1000n;
/** The largest uint64. */
const MOST = 2n ** 64n - 1n;

/** @returns `io.containerd.cgroups.v1.Metrics` or `v2.Metrics`, packed. */
export function toMetrics({ cgroup, network: links }: SandboxStats, version: "v1" | "v2"): Any {
  const network = [...links].map(networkStat);
  if (version === "v1") {
    return packAny(v1.MetricsSchema, { ...(cgroup && metricsV1(cgroup)), network });
  }
  return packAny(v2.MetricsSchema, { ...(cgroup && metricsV2(cgroup)), network });
}

function metricsV1({ cpu, memory, pids, io, hugetlb }: CgroupStats) {
  return {
    cpu: {
      usage: { total: cpu.total, kernel: cpu.system, user: cpu.user, perCpu: cpu.perCpu },
      throttling: cpu.throttling,
    },
    memory: memoryV1(memory),
    pids,
    blkio: {
      ioServiceBytesRecursive: io.serviceBytes,
      ioServicedRecursive: io.serviced,
      ioQueuedRecursive: io.queued,
      ioServiceTimeRecursive: io.serviceTime,
      ioWaitTimeRecursive: io.waitTime,
      ioMergedRecursive: io.merged,
      ioTimeRecursive: io.time,
      sectorsRecursive: io.sectors,
    },
    hugetlb: [...hugetlb].map(([pagesize, { usage, maxUsage, failures }]) => {
      return { pagesize, usage, max: maxUsage, failcnt: failures };
    }),
  };
}

function metricsV2({ cpu, memory, pids, io, hugetlb }: CgroupStats) {
  return {
    cpu: {
      usageUsec: cpu.total / NS_PER_US,
      userUsec: cpu.user / NS_PER_US,
      systemUsec: cpu.system / NS_PER_US,
      nrPeriods: cpu.throttling.periods,
      nrThrottled: cpu.throttling.throttledPeriods,
      throttledUsec: cpu.throttling.throttledTime / NS_PER_US,
    },
    memory: memoryV2(memory),
    // v2 has a number for a limit that is none, v1 has 0.
    pids: { current: pids.current, limit: pids.limit || NO_LIMIT },
    io: { usage: ioByDevice(io.serviceBytes, io.serviced) },
    hugetlb: [...hugetlb].map(([pagesize, { usage, maxUsage, failures }]) => {
      return { pagesize, current: usage, max: maxUsage, failcnt: failures };
    }),
  };
}

function ioByDevice(
  bytes: readonly IoEntry[],
  requests: readonly IoEntry[],
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
  entries: readonly IoEntry[],
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

function networkStat([name, counts]: [name: string, counts: LinkStatistics]) {
  return { name, ...Object.fromEntries(Object.entries(counts).map(([key, count]) => [key, BigInt(count)])) };
}
