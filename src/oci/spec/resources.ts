/**
 * The part of a configuration that limits: resources and system calls.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md#control-groups
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md#seccomp
 * @module
 */

/** A 64-bit integer: a number while that is exact, a bigint beyond 2^53. */
export type Int64 = number | bigint;

/** `a` stands for all and occurs in device rules only; `u` is an unbuffered character device. */
export type DeviceType = "a" | "b" | "c" | "u" | "p";

export interface DeviceRule {
  allow: boolean;
  /** All types without it. */
  type?: DeviceType;
  /** Absent or -1: any. */
  major?: number;
  minor?: number;
  /** A subset of `rwm`; all of them without it. */
  access?: string;
}

export interface Resources {
  devices?: DeviceRule[];
  memory?: MemoryResources;
  cpu?: CpuResources;
  pids?: { limit?: Int64 };
  blockIO?: BlockIoResources;
  hugepageLimits?: HugepageLimit[];
  network?: NetworkResources;
  rdma?: Record<string, { hcaHandles?: number; hcaObjects?: number }>;
  /** cgroup v2 files and what to write into them, after all else. */
  unified?: Record<string, string>;
}

/** Bytes; -1 is no limit. */
export interface MemoryResources {
  limit?: Int64;
  reservation?: Int64;
  /** Memory and swap together. */
  swap?: Int64;
  kernel?: Int64;
  kernelTCP?: Int64;
  /** 0 to 100. */
  swappiness?: number;
  disableOOMKiller?: boolean;
  useHierarchy?: boolean;
  checkBeforeUpdate?: boolean;
}

export interface CpuResources {
  /** 2 to 262144, relative to the siblings. */
  shares?: Int64;
  /** Microseconds per period; negative is no limit. */
  quota?: Int64;
  burst?: Int64;
  /** Microseconds. */
  period?: Int64;
  realtimeRuntime?: Int64;
  realtimePeriod?: Int64;
  /** A list such as `0-3,7`. */
  cpus?: string;
  mems?: string;
  /** 1: SCHED_IDLE. */
  idle?: Int64;
}

export interface BlockIoResources {
  /** 10 to 1000. */
  weight?: number;
  leafWeight?: number;
  weightDevice?: WeightDevice[];
  throttleReadBpsDevice?: ThrottleDevice[];
  throttleWriteBpsDevice?: ThrottleDevice[];
  throttleReadIOPSDevice?: ThrottleDevice[];
  throttleWriteIOPSDevice?: ThrottleDevice[];
}

export interface WeightDevice {
  major: number;
  minor: number;
  weight?: number;
  leafWeight?: number;
}

export interface ThrottleDevice {
  major: number;
  minor: number;
  /** Bytes or operations per second; 0 takes the limit away. */
  rate: Int64;
}

export interface HugepageLimit {
  /** `2MB`, `1GB`: as the files of the hugetlb controller are named. */
  pageSize: string;
  /** Bytes. */
  limit: Int64;
}

export interface NetworkResources {
  classID?: number;
  priorities?: { name: string; priority: number }[];
}

export interface Seccomp {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  flags?: string[];
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls?: SeccompRule[];
}

export interface SeccompRule {
  names: string[];
  action: string;
  errnoRet?: number;
  args?: SeccompArgument[];
}

export interface SeccompArgument {
  /** Position of the system call's argument, 0 to 5. */
  index: number;
  value: Int64;
  valueTwo?: Int64;
  op: string;
}
