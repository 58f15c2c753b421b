/**
 * Which types the values of a configuration have. Wrong ones would fail later with words that name no key, or change what
 * is made: `"terminal": "no"` is true, and a uid of `"root"` is 0 to the kernel.
 *
 * @module
 */

/** Type of a value: a leaf by its name, `[item]` for a list, `{ key: … }` for an object, `{ "*": … }` for any keys. */
export type Shape = keyof typeof LEAVES | readonly [Shape] | { readonly [key: string]: Shape };

const LEAVES = {
  text: { is: (value: unknown) => typeof value === "string", what: "text" },
  flag: { is: (value: unknown) => typeof value === "boolean", what: "true or false" },
  /** An integer that a JavaScript number holds without loss: the fields that are a `number` in the types. */
  small: { is: (value: unknown) => Number.isSafeInteger(value), what: "a whole number within 2^53" },
  integer: { is: (value: unknown) => isIntegerIn(value, -(2n ** 63n), 2n ** 64n - 1n), what: "a whole number" },
  count: { is: (value: unknown) => isIntegerIn(value, 0n, 2n ** 64n - 1n), what: "a whole number from 0" },
  u32: { is: (value: unknown) => isIntegerIn(value, 0n, 2n ** 32n - 1n), what: "a whole number from 0 to 4294967295" },
} as const;

function isIntegerIn(value: unknown, from: bigint, to: bigint): boolean {
  const isWhole = typeof value === "bigint" || Number.isInteger(value);
  return isWhole && BigInt(value as number) >= from && BigInt(value as number) <= to;
}

const HOOK: Shape = { path: "text", args: ["text"], env: ["text"], timeout: "small" };
const MAPPINGS: Shape = [{ containerID: "u32", hostID: "u32", size: "u32" }];
const THROTTLE: Shape = [{ major: "small", minor: "small", rate: "count" }];

export const PROCESS_SHAPE: Shape = {
  terminal: "flag",
  consoleSize: { height: "u32", width: "u32" },
  user: { uid: "u32", gid: "u32", umask: "u32", additionalGids: ["u32"], username: "text" },
  args: ["text"],
  env: ["text"],
  cwd: "text",
  capabilities: { "*": ["text"] },
  rlimits: [{ type: "text", soft: "count", hard: "count" }],
  noNewPrivileges: "flag",
  apparmorProfile: "text",
  selinuxLabel: "text",
  oomScoreAdj: "small",
  scheduler: {
    policy: "text",
    nice: "small",
    priority: "small",
    flags: ["text"],
    runtime: "count",
    deadline: "count",
    period: "count",
  },
  ioPriority: { class: "text", priority: "small" },
  execCPUAffinity: { initial: "text", final: "text" },
};

export const RESOURCES_SHAPE: Shape = {
  devices: [{ allow: "flag", type: "text", major: "small", minor: "small", access: "text" }],
  memory: {
    limit: "integer",
    reservation: "integer",
    swap: "integer",
    kernel: "integer",
    kernelTCP: "integer",
    swappiness: "small",
    disableOOMKiller: "flag",
    useHierarchy: "flag",
    checkBeforeUpdate: "flag",
  },
  cpu: {
    shares: "count",
    quota: "integer",
    burst: "count",
    period: "count",
    realtimeRuntime: "integer",
    realtimePeriod: "count",
    cpus: "text",
    mems: "text",
    idle: "integer",
  },
  pids: { limit: "integer" },
  blockIO: {
    weight: "u32",
    leafWeight: "u32",
    weightDevice: [{ major: "small", minor: "small", weight: "u32", leafWeight: "u32" }],
    throttleReadBpsDevice: THROTTLE,
    throttleWriteBpsDevice: THROTTLE,
    throttleReadIOPSDevice: THROTTLE,
    throttleWriteIOPSDevice: THROTTLE,
  },
  hugepageLimits: [{ pageSize: "text", limit: "count" }],
  network: { classID: "u32", priorities: [{ name: "text", priority: "u32" }] },
  rdma: { "*": { hcaHandles: "u32", hcaObjects: "u32" } },
  unified: { "*": "text" },
};

export const SPEC_SHAPE: Shape = {
  ociVersion: "text",
  root: { path: "text", readonly: "flag" },
  process: PROCESS_SHAPE,
  hostname: "text",
  domainname: "text",
  mounts: [{
    destination: "text",
    source: "text",
    type: "text",
    options: ["text"],
    uidMappings: MAPPINGS,
    gidMappings: MAPPINGS,
  }],
  hooks: { "*": [HOOK] },
  annotations: { "*": "text" },
  linux: {
    uidMappings: MAPPINGS,
    gidMappings: MAPPINGS,
    sysctl: { "*": "text" },
    resources: RESOURCES_SHAPE,
    cgroupsPath: "text",
    namespaces: [{ type: "text", path: "text" }],
    devices: [{
      path: "text",
      type: "text",
      major: "small",
      minor: "small",
      fileMode: "u32",
      uid: "u32",
      gid: "u32",
    }],
    seccomp: {
      defaultAction: "text",
      defaultErrnoRet: "u32",
      architectures: ["text"],
      flags: ["text"],
      listenerPath: "text",
      listenerMetadata: "text",
      syscalls: [{
        names: ["text"],
        action: "text",
        errnoRet: "u32",
        args: [{ index: "small", value: "count", valueTwo: "count", op: "text" }],
      }],
    },
    rootfsPropagation: "text",
    maskedPaths: ["text"],
    readonlyPaths: ["text"],
    mountLabel: "text",
    personality: { domain: "text", flags: ["text"] },
    timeOffsets: { "*": { secs: "integer", nanosecs: "u32" } },
  },
};

/**
 * Keys that the shape does not name may hold anything: they are of a later specification, or somebody's own.
 *
 * @param path Of the value, for the message.
 * @throws {TypeError} Naming the first value of another type.
 */
export function checkShape(value: unknown, shape: Shape, path = ""): void {
  if (typeof shape === "string") {
    if (!LEAVES[shape].is(value)) throw wrong(value, path, LEAVES[shape].what);
  } else if (isList(shape)) {
    if (!Array.isArray(value)) throw wrong(value, path, "a list");
    for (let index = 0; index < value.length; index++) checkShape(value[index], shape[0], `${path}[${index}]`);
  } else {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(value, path, "an object");
    for (const [key, inner] of Object.entries(value)) {
      const expected = Object.hasOwn(shape, key) ? shape[key] : shape["*"];
      if (expected !== undefined) checkShape(inner, expected, path === "" ? key : `${path}.${key}`);
    }
  }
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}

function wrong(value: unknown, path: string, what: string): TypeError {
  const text = JSON.stringify(value, (_, inner) => typeof inner === "bigint" ? String(inner) : inner) ?? "null";
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return new TypeError(`Cannot use ${path || "the document"}: it is ${shown}, not ${what}`);
}
