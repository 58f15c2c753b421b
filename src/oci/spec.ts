/**
 * The configuration of a container (`config.json`) as the OCI runtime specification 1.2 names it, Linux part.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md
 * @module
 */

/** A 64-bit integer: a number while that is exact, a bigint beyond 2^53. */
export type Int64 = number | bigint;

/** Version that {@linkcode Spec.ociVersion} of our own state files carries. */
export const OCI_VERSION = "1.2.0";

export interface Spec {
  ociVersion: string;
  root?: Root;
  process?: Process;
  hostname?: string;
  domainname?: string;
  mounts?: Mount[];
  hooks?: Hooks;
  annotations?: Record<string, string>;
  linux?: Linux;
}

export interface Root {
  /** Relative paths start at the bundle. */
  path: string;
  readonly?: boolean;
}

export interface Process {
  terminal?: boolean;
  consoleSize?: Box;
  user: User;
  args?: string[];
  /** `NAME=value` each. */
  env?: string[];
  /** Absolute, inside the container. */
  cwd: string;
  capabilities?: Capabilities;
  rlimits?: Rlimit[];
  noNewPrivileges?: boolean;
  apparmorProfile?: string;
  selinuxLabel?: string;
  /** -1000 to 1000. */
  oomScoreAdj?: number;
  scheduler?: Scheduler;
  ioPriority?: IoPriority;
  execCPUAffinity?: { initial?: string; final?: string };
}

/** Character cells of a terminal. */
export interface Box {
  height: number;
  width: number;
}

export interface User {
  uid: number;
  gid: number;
  umask?: number;
  additionalGids?: number[];
  /** Windows only, but Kata's agent API carries it. */
  username?: string;
}

export interface Capabilities {
  bounding?: string[];
  effective?: string[];
  inheritable?: string[];
  permitted?: string[];
  ambient?: string[];
}

export interface Rlimit {
  /** `RLIMIT_NOFILE`… */
  type: string;
  soft: Int64;
  hard: Int64;
}

export interface Scheduler {
  /** `SCHED_OTHER`, `SCHED_FIFO`… */
  policy: string;
  nice?: number;
  priority?: number;
  /** `SCHED_FLAG_…` each. */
  flags?: string[];
  /** Nanoseconds, for `SCHED_DEADLINE`. */
  runtime?: Int64;
  deadline?: Int64;
  period?: Int64;
}

export interface IoPriority {
  class: "IOPRIO_CLASS_RT" | "IOPRIO_CLASS_BE" | "IOPRIO_CLASS_IDLE";
  /** 0 (highest) to 7. */
  priority: number;
}

export interface Mount {
  /** Inside the container; symlinks in it are resolved inside the rootfs. */
  destination: string;
  source?: string;
  type?: string;
  options?: string[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
}

export interface Hook {
  path: string;
  /** As execve(2) takes them: the first one is the program's name. */
  args?: string[];
  env?: string[];
  /** Seconds, more than 0. */
  timeout?: number;
}

export interface Hooks {
  /** Deprecated; runs before `createRuntime`. */
  prestart?: Hook[];
  createRuntime?: Hook[];
  createContainer?: Hook[];
  startContainer?: Hook[];
  poststart?: Hook[];
  poststop?: Hook[];
}

export interface Linux {
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
  /** `net.ipv4.ip_forward`: a dotted name below /proc/sys. */
  sysctl?: Record<string, string>;
  resources?: Resources;
  /** A path below the cgroup root (cgroupfs), or `slice:prefix:name` (systemd). */
  cgroupsPath?: string;
  namespaces?: Namespace[];
  devices?: Device[];
  seccomp?: Seccomp;
  rootfsPropagation?: string;
  maskedPaths?: string[];
  readonlyPaths?: string[];
  mountLabel?: string;
  intelRdt?: IntelRdt;
  personality?: Personality;
  /** By clock: `monotonic` and `boottime`. */
  timeOffsets?: Record<string, { secs?: Int64; nanosecs?: number }>;
}

export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

export type NamespaceType = "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup" | "time";

export interface Namespace {
  type: NamespaceType;
  /** The namespace to join; a new one is made without it. */
  path?: string;
}

/** `a` stands for all and occurs in device rules only; `u` is an unbuffered character device. */
export type DeviceType = "a" | "b" | "c" | "u" | "p";

export interface Device {
  path: string;
  type: DeviceType;
  major?: number;
  minor?: number;
  fileMode?: number;
  uid?: number;
  gid?: number;
}

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

export interface IntelRdt {
  closID?: string;
  l3CacheSchema?: string;
  memBwSchema?: string;
  enableCMT?: boolean;
  enableMBM?: boolean;
}

export interface Personality {
  /** `LINUX` or `LINUX32`. */
  domain: string;
  flags?: string[];
}

/** Parses `config.json`. Only the shape of JSON is checked here; the rules are in `validate.ts`. */
export function parseSpec(text: string): Spec {
  const spec: unknown = JSON.parse(text, exactIntegers);
  if (typeof spec !== "object" || spec === null || Array.isArray(spec)) {
    throw new TypeError("Cannot parse the container's configuration: it is not a JSON object");
  }
  return spec as Spec;
}

/** The limits of a process reach 2^64 - 1, which a number would round to more than that. */
function exactIntegers(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? "";
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}

/** The text of a `config.json` that {@linkcode parseSpec} reads back as the same value. */
export function formatSpec(spec: unknown): string {
  return JSON.stringify(spec, (_key, value: unknown) => typeof value === "bigint" ? rawInteger(value) : value);
}

function rawInteger(value: bigint): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(value));
}
