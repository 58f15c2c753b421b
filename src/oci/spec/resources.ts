/**
 * The part of a configuration that limits: resources and system calls.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md#control-groups
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md#seccomp
 * @module
 */
import type { Infer, Shape } from "./shape.ts";

export type { Int64 } from "./shape.ts";

/** `a` stands for all and occurs in device rules only; `u` is an unbuffered character device. */
export const DEVICE_TYPE = { words: ["a", "b", "c", "u", "p"] } as const satisfies Shape;
export type DeviceType = Infer<typeof DEVICE_TYPE>;

const DEVICE_RULE = {
  required: { allow: "flag" },
  optional: {
    /** All types without it. */
    type: DEVICE_TYPE,
    /** Absent or -1: any. */
    major: "small",
    minor: "small",
    /** A subset of `rwm`; all of them without it. */
    access: "text",
  },
} as const satisfies Shape;
export interface DeviceRule extends Infer<typeof DEVICE_RULE> {}

/** Whether a rule is for every device and every access to it. */
export function isForAllDevices({ type = "a", major = -1, minor = -1, access }: DeviceRule): boolean {
  return type === "a" && major < 0 && minor < 0 && (!access || [..."rwm"].every((letter) => access.includes(letter)));
}

/** The rules after the last one for every device, before which none counts; and whether that one allows them all. */
export function countingRules(rules: readonly DeviceRule[] = []): { hasAll: boolean; rules: DeviceRule[] } {
  const last = rules.findLastIndex(isForAllDevices);
  return { hasAll: rules[last]?.allow ?? false, rules: rules.slice(last + 1) };
}

/**
 * A rule for both kinds of devices that names numbers or letters, as one for each kind: to the kernel, "a" is everything,
 * whatever follows. Pipes are no devices, and a rule for them means nothing.
 */
export function deviceKinds(rule: DeviceRule): DeviceRule[] {
  if (rule.type === "p") return [];
  if ((rule.type ?? "a") !== "a" || isForAllDevices(rule)) return [rule];
  return [{ ...rule, type: "b" }, { ...rule, type: "c" }];
}

const MEMORY = {
  optional: {
    limit: "integer",
    reservation: "integer",
    /** Memory and swap together. */
    swap: "integer",
    kernel: "integer",
    kernelTCP: "integer",
    /** 0 to 100. */
    swappiness: "integer",
    disableOOMKiller: "flag",
    useHierarchy: "flag",
    checkBeforeUpdate: "flag",
  },
} as const satisfies Shape;
/** Bytes; -1 is no limit. */
export interface MemoryResources extends Infer<typeof MEMORY> {}

const CPU = {
  optional: {
    /** 2 to 262144, relative to the siblings. */
    shares: "count",
    /** Microseconds per period; negative is no limit. */
    quota: "integer",
    burst: "count",
    /** Microseconds. */
    period: "count",
    realtimeRuntime: "integer",
    realtimePeriod: "count",
    /** A list such as `0-3,7`. */
    cpus: "text",
    mems: "text",
    /** 1: SCHED_IDLE. */
    idle: "integer",
  },
} as const satisfies Shape;
export interface CpuResources extends Infer<typeof CPU> {}

const WEIGHT_DEVICE = {
  required: { major: "small", minor: "small" },
  optional: { weight: "u32", leafWeight: "u32" },
} as const satisfies Shape;
export interface WeightDevice extends Infer<typeof WEIGHT_DEVICE> {}

const THROTTLE_DEVICE = {
  required: {
    major: "small",
    minor: "small",
    /** Bytes or operations per second; 0 takes the limit away. */
    rate: "count",
  },
} as const satisfies Shape;
export interface ThrottleDevice extends Infer<typeof THROTTLE_DEVICE> {}

const BLOCK_IO = {
  optional: {
    /** 10 to 1000. */
    weight: "u32",
    leafWeight: "u32",
    weightDevice: [WEIGHT_DEVICE],
    throttleReadBpsDevice: [THROTTLE_DEVICE],
    throttleWriteBpsDevice: [THROTTLE_DEVICE],
    throttleReadIOPSDevice: [THROTTLE_DEVICE],
    throttleWriteIOPSDevice: [THROTTLE_DEVICE],
  },
} as const satisfies Shape;
export interface BlockIoResources extends Infer<typeof BLOCK_IO> {}

const HUGEPAGE_LIMIT = {
  required: {
    /** `2MB`, `1GB`: as the files of the hugetlb controller are named. */
    pageSize: "text",
    /** Bytes. */
    limit: "count",
  },
} as const satisfies Shape;
export interface HugepageLimit extends Infer<typeof HUGEPAGE_LIMIT> {}

const INTERFACE_PRIORITY = { required: { name: "text", priority: "u32" } } as const satisfies Shape;
export interface InterfacePriority extends Infer<typeof INTERFACE_PRIORITY> {}

const NETWORK = {
  optional: { classID: "u32", priorities: [INTERFACE_PRIORITY] },
} as const satisfies Shape;
export interface NetworkResources extends Infer<typeof NETWORK> {}

export const RESOURCES_SHAPE = {
  optional: {
    devices: [DEVICE_RULE],
    memory: MEMORY,
    cpu: CPU,
    pids: { optional: { limit: "integer" } },
    blockIO: BLOCK_IO,
    hugepageLimits: [HUGEPAGE_LIMIT],
    network: NETWORK,
    rdma: { values: { optional: { hcaHandles: "u32", hcaObjects: "u32" } } },
    /** Files of cgroup v2 and what to write into them, after all else. */
    unified: { values: "text" },
  },
} as const satisfies Shape;
export interface Resources extends Infer<typeof RESOURCES_SHAPE> {}

const SECCOMP_ARGUMENT = {
  required: {
    /** Position of the system call's argument, 0 to 5. */
    index: "small",
    value: "count",
    op: "text",
  },
  optional: { valueTwo: "count" },
} as const satisfies Shape;
export interface SeccompArgument extends Infer<typeof SECCOMP_ARGUMENT> {}

const SECCOMP_RULE = {
  required: { names: ["text"], action: "text" },
  optional: { errnoRet: "u32", args: [SECCOMP_ARGUMENT] },
} as const satisfies Shape;
export interface SeccompRule extends Infer<typeof SECCOMP_RULE> {}

export const SECCOMP = {
  required: { defaultAction: "text" },
  optional: {
    defaultErrnoRet: "u32",
    architectures: ["text"],
    flags: ["text"],
    listenerPath: "text",
    listenerMetadata: "text",
    syscalls: [SECCOMP_RULE],
  },
} as const satisfies Shape;
export interface Seccomp extends Infer<typeof SECCOMP> {}
