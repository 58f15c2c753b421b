/** Usage of a cgroup, in one form for v1 and v2. Absent: the kernel does not say. @module */

/** Stands for `max`. */
export const NO_LIMIT = 2n ** 64n - 1n;

export interface CgroupStats {
  cpu: CpuStats;
  memory: MemoryStats;
  /** A limit of 0 is none. */
  pids: { current: bigint; limit: bigint };
  io: IoStats;
  /** By page size, such as `2MB`. */
  hugetlb: Map<string, HugetlbStats>;
  /** Of v1 only. */
  cpuset?: CpusetStats;
}

export interface CpuStats {
  /** Nanoseconds. */
  total: bigint;
  user: bigint;
  system: bigint;
  /** Nanoseconds by CPU; empty on v2. */
  perCpu: bigint[];
  perCpuUser: bigint[];
  perCpuSystem: bigint[];
  throttling: { periods: bigint; throttledPeriods: bigint; throttledTime: bigint };
}

/** Bytes. */
export interface MemoryCounter {
  usage: bigint;
  maxUsage: bigint;
  failures: bigint;
  /** Where there is none: {@linkcode NO_LIMIT}, on v1 what the kernel shows, the last page below 2^63. */
  limit: bigint;
}

export interface MemoryStats {
  /** Page cache. */
  cache: bigint;
  usage: MemoryCounter;
  /** On v1 with the memory, on v2 without it. */
  swap: MemoryCounter;
  kernel: MemoryCounter;
  /** Buffers of TCP; only v1 counts them apart. */
  kernelTcp?: MemoryCounter;
  useHierarchy: boolean;
  /** The file `memory.stat`. */
  stat: Map<string, bigint>;
}

/** Files of a v1 cpuset besides its CPUs and memory nodes, by their names. */
export const FLAGS_OF_CPUSET = [
  "cpu_exclusive",
  "mem_hardwall",
  "mem_exclusive",
  "memory_migrate",
  "memory_spread_page",
  "memory_spread_slab",
  "memory_pressure",
  "sched_load_balance",
  "sched_relax_domain_level",
] as const;

export type CpusetStats = { cpus: number[]; mems: number[] } & Record<typeof FLAGS_OF_CPUSET[number], bigint>;

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
