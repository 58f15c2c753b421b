/** What a cgroup has used, in one form for v1 and v2. Absent: the kernel does not say. @module */

/** Stands for "no limit": what such a counter holds in the kernel. */
export const NO_LIMIT = 2n ** 64n - 1n;

export interface CgroupStats {
  cpu: CpuStats;
  memory: MemoryStats;
  /** A limit of 0 is none. */
  pids: { current: bigint; limit: bigint };
  io: IoStats;
  /** By page size, such as `2MB`. */
  hugetlb: Map<string, HugetlbStats>;
}

export interface CpuStats {
  /** Nanoseconds. */
  total: bigint;
  user: bigint;
  system: bigint;
  /** Nanoseconds by CPU; empty on v2. */
  perCpu: bigint[];
  throttling: { periods: bigint; throttledPeriods: bigint; throttledTime: bigint };
}

/** Bytes. */
export interface MemoryCounter {
  usage: bigint;
  maxUsage: bigint;
  failures: bigint;
  /** {@linkcode NO_LIMIT} where there is none. */
  limit: bigint;
}

export interface MemoryStats {
  /** Page cache. */
  cache: bigint;
  usage: MemoryCounter;
  /** On v1 with the memory, on v2 without it. */
  swap: MemoryCounter;
  kernel: MemoryCounter;
  useHierarchy: boolean;
  /** The file `memory.stat`. */
  stat: Map<string, bigint>;
}

/** One line of a block device's account. */
export interface IoEntry {
  major: bigint;
  minor: bigint;
  /** `Read`, `Write`, `Total`… */
  op: string;
  value: bigint;
}

export interface IoStats {
  serviceBytes: IoEntry[];
  serviced: IoEntry[];
  queued: IoEntry[];
  serviceTime: IoEntry[];
  waitTime: IoEntry[];
  merged: IoEntry[];
  time: IoEntry[];
  sectors: IoEntry[];
}

/** An account of block devices without entries. */
export function noIo(): IoStats {
  return {
    serviceBytes: [],
    serviced: [],
    queued: [],
    serviceTime: [],
    waitTime: [],
    merged: [],
    time: [],
    sectors: [],
  };
}

export interface HugetlbStats {
  /** Bytes. */
  usage: bigint;
  maxUsage: bigint;
  /** Times an allocation was refused. */
  failures: bigint;
}
