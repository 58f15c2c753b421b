/**
 * The configuration of a container (`config.json`) as the OCI runtime specification 1.2 names it, Linux part. Written
 * down once, as shapes: the types come from them, reading checks against them, and the tests hold them against the
 * specification's own schema (`schema_test.ts`) and against what the agent's protocol carries.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md
 * @module
 */
import { type Process, PROCESS_SHAPE } from "./process.ts";
import { DEVICE_TYPE, type Resources, RESOURCES_SHAPE, SECCOMP } from "./resources.ts";
import { checkShape, complete, type Infer, type Shape } from "./shape.ts";

export type * from "./process.ts";
export type * from "./resources.ts";

/** Version that {@linkcode Spec.ociVersion} of our own state files carries. */
export const OCI_VERSION = "1.2.0";

const ROOT = {
  required: {
    /** Relative paths start at the bundle. */
    path: "text",
  },
  optional: { readonly: "flag" },
} as const satisfies Shape;
export interface Root extends Infer<typeof ROOT> {}

const ID_MAPPING = { required: { containerID: "u32", hostID: "u32", size: "u32" } } as const satisfies Shape;
export interface IdMapping extends Infer<typeof ID_MAPPING> {}

const MOUNT = {
  required: {
    /** Inside the container; symlinks in it are resolved inside the rootfs. */
    destination: "text",
  },
  optional: {
    source: "text",
    type: "text",
    options: ["text"],
    uidMappings: [ID_MAPPING],
    gidMappings: [ID_MAPPING],
  },
} as const satisfies Shape;
export interface Mount extends Infer<typeof MOUNT> {}

const HOOK = {
  required: { path: "text" },
  optional: {
    /** As execve(2) takes them: the first one is the program's name. */
    args: ["text"],
    env: ["text"],
    /** Seconds, more than 0. */
    timeout: "small",
  },
} as const satisfies Shape;
export interface Hook extends Infer<typeof HOOK> {}

const HOOKS = {
  optional: {
    /** Deprecated; runs before `createRuntime`. */
    prestart: [HOOK],
    createRuntime: [HOOK],
    createContainer: [HOOK],
    startContainer: [HOOK],
    poststart: [HOOK],
    poststop: [HOOK],
  },
} as const satisfies Shape;
export interface Hooks extends Infer<typeof HOOKS> {}

/** Moments at which hooks run. */
export const HOOK_KINDS = Object.keys(HOOKS.optional) as readonly (keyof Hooks)[];

const NAMESPACE = {
  required: { type: { words: ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"] } },
  optional: {
    /** The namespace to join; a new one is made without it. */
    path: "text",
  },
} as const satisfies Shape;
export interface Namespace extends Infer<typeof NAMESPACE> {}
export type NamespaceType = Namespace["type"];

const DEVICE = {
  required: { path: "text", type: DEVICE_TYPE },
  optional: { major: "small", minor: "small", fileMode: "u32", uid: "u32", gid: "u32" },
} as const satisfies Shape;
export interface Device extends Infer<typeof DEVICE> {}

const INTEL_RDT = {
  optional: {
    closID: "text",
    schemata: ["text"],
    l3CacheSchema: "text",
    memBwSchema: "text",
    enableMonitoring: "flag",
    enableCMT: "flag",
    enableMBM: "flag",
  },
} as const satisfies Shape;
export interface IntelRdt extends Infer<typeof INTEL_RDT> {}

const PERSONALITY = {
  required: {
    /** `LINUX` or `LINUX32`. */
    domain: "text",
  },
  optional: { flags: ["text"] },
} as const satisfies Shape;
export interface Personality extends Infer<typeof PERSONALITY> {}

const MEMORY_POLICY = {
  optional: {
    /** `MPOL_BIND`… */
    mode: "text",
    /** A list of NUMA nodes: `0-3,7`. */
    nodes: "text",
    /** `MPOL_F_…` each. */
    flags: ["text"],
  },
} as const satisfies Shape;
export interface MemoryPolicy extends Infer<typeof MEMORY_POLICY> {}

const LINUX = {
  optional: {
    uidMappings: [ID_MAPPING],
    gidMappings: [ID_MAPPING],
    /** `net.ipv4.ip_forward`: a dotted name below /proc/sys. */
    sysctl: { values: "text" },
    resources: RESOURCES_SHAPE,
    /** A path below the cgroup root (cgroupfs), or `slice:prefix:name` (systemd). */
    cgroupsPath: "text",
    namespaces: [NAMESPACE],
    devices: [DEVICE],
    seccomp: SECCOMP,
    rootfsPropagation: "text",
    maskedPaths: ["text"],
    readonlyPaths: ["text"],
    mountLabel: "text",
    intelRdt: INTEL_RDT,
    personality: PERSONALITY,
    memoryPolicy: MEMORY_POLICY,
    /** By clock: `monotonic` and `boottime`. */
    timeOffsets: { values: { optional: { secs: "integer", nanosecs: "u32" } } },
  },
} as const satisfies Shape;
export interface Linux extends Infer<typeof LINUX> {}

export const SPEC_SHAPE = {
  required: { ociVersion: "text" },
  optional: {
    root: ROOT,
    process: PROCESS_SHAPE,
    hostname: "text",
    domainname: "text",
    mounts: [MOUNT],
    hooks: HOOKS,
    annotations: { values: "text" },
    linux: LINUX,
  },
} as const satisfies Shape;
export interface Spec extends Infer<typeof SPEC_SHAPE> {}

/**
 * Parses `config.json`. Types are checked, and required fields that are not there are filled in as the specification's own
 * library does: a user that is not named is root. The rules are in `validate.ts`.
 *
 * @throws {TypeError} A wrong type.
 */
export function parseSpec(text: string): Spec {
  return parseShaped(text, SPEC_SHAPE);
}

/** Parses a `process` alone, as {@linkcode parseSpec} does. */
export function parseProcess(text: string): Process {
  return parseShaped(text, PROCESS_SHAPE);
}

/** Parses `resources` alone, as {@linkcode parseSpec} does. */
export function parseResources(text: string): Resources {
  return parseShaped(text, RESOURCES_SHAPE);
}

function parseShaped<S extends Shape>(text: string, shape: S): Infer<S> {
  const value = parseJson(text);
  checkShape(value, shape);
  complete(value, shape);
  return value as Infer<S>;
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
