/**
 * The configuration of a container (`config.json`) as the OCI runtime specification 1.2 names it, Linux part.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md
 * @module
 */
import type { DeviceType, Int64, Resources, Seccomp } from "./resources.ts";
import { checkShape, PROCESS_SHAPE, RESOURCES_SHAPE, type Shape, SPEC_SHAPE } from "./shape.ts";

export type * from "./resources.ts";

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

export interface Device {
  path: string;
  type: DeviceType;
  major?: number;
  minor?: number;
  fileMode?: number;
  uid?: number;
  gid?: number;
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

/** Parses `config.json`. Only types are checked here; the rules are in `validate.ts`. @throws {TypeError} A wrong type. */
export function parseSpec(text: string): Spec {
  const spec = parseShaped(text, SPEC_SHAPE) as unknown as Spec;
  return spec.process === undefined ? spec : { ...spec, process: withUser(spec.process) };
}

/** Parses a `process` alone, as {@linkcode parseSpec} does. */
export function parseProcess(text: string): Process {
  return withUser(parseShaped(text, PROCESS_SHAPE) as unknown as Process);
}

/** Parses `resources` alone, as {@linkcode parseSpec} does. */
export function parseResources(text: string): Resources {
  return parseShaped(text, RESOURCES_SHAPE);
}

/** Fills in root (0:0) where the specification names no user or group, as other runtimes do. */
function withUser(process: Process): Process {
  return { ...process, user: { ...process.user, uid: process.user?.uid ?? 0, gid: process.user?.gid ?? 0 } };
}

function parseShaped(text: string, shape: Shape): Record<string, unknown> {
  const value = parseJson(text);
  checkShape(value, shape);
  return value as Record<string, unknown>;
}

/** Parses what {@linkcode formatSpec} writes. */
export function parseJson(text: string): unknown {
  return JSON.parse(text, exactValue);
}

/** The limits of a process reach 2^64 - 1, which a number would round to more than that; null is the same as absent. */
function exactValue(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (value === null) return undefined;
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? "";
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}

/** The text of a `config.json` that {@linkcode parseJson} reads back as the same value. */
export function formatSpec(spec: unknown): string {
  return JSON.stringify(spec, (_key, value: unknown) => typeof value === "bigint" ? rawInteger(value) : value);
}

function rawInteger(value: bigint): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(value));
}
