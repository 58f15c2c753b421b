/**
 * The part of a configuration that describes a process; a process added by exec has no other.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md#process
 * @module
 */
import type { Infer, Shape } from "./shape.ts";

const BOX = { required: { height: "u32", width: "u32" } } as const satisfies Shape;
/** Character cells of a terminal. */
export interface Box extends Infer<typeof BOX> {}

const USER = {
  required: { uid: "u32", gid: "u32" },
  optional: {
    umask: "u32",
    additionalGids: ["u32"],
    /** Windows only, but Kata's agent API carries it. */
    username: "text",
  },
} as const satisfies Shape;
export interface User extends Infer<typeof USER> {}

const CAPABILITIES = {
  optional: {
    bounding: ["text"],
    effective: ["text"],
    inheritable: ["text"],
    permitted: ["text"],
    ambient: ["text"],
  },
} as const satisfies Shape;
export interface Capabilities extends Infer<typeof CAPABILITIES> {}

export const CAPABILITY_SETS = Object.keys(CAPABILITIES.optional) as readonly (keyof Capabilities)[];

const RLIMIT = {
  required: {
    /** `RLIMIT_NOFILE`… */
    type: "text",
    soft: "count",
    hard: "count",
  },
} as const satisfies Shape;
export interface Rlimit extends Infer<typeof RLIMIT> {}

const SCHEDULER = {
  required: {
    /** `SCHED_OTHER`, `SCHED_FIFO`… */
    policy: "text",
  },
  optional: {
    nice: "small",
    priority: "small",
    /** `SCHED_FLAG_…` each. */
    flags: ["text"],
    /** Nanoseconds, for `SCHED_DEADLINE`. */
    runtime: "count",
    deadline: "count",
    period: "count",
  },
} as const satisfies Shape;
export interface Scheduler extends Infer<typeof SCHEDULER> {}

const IO_PRIORITY = {
  required: {
    class: { words: ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"] },
    /** 0 (highest) to 7. */
    priority: "small",
  },
} as const satisfies Shape;
export interface IoPriority extends Infer<typeof IO_PRIORITY> {}

export const PROCESS_SHAPE = {
  required: {
    user: USER,
    /** Absolute, inside the container. */
    cwd: "text",
  },
  optional: {
    terminal: "flag",
    consoleSize: BOX,
    args: ["text"],
    /** `NAME=value` each. */
    env: ["text"],
    capabilities: CAPABILITIES,
    rlimits: [RLIMIT],
    noNewPrivileges: "flag",
    apparmorProfile: "text",
    selinuxLabel: "text",
    /** -1000 to 1000. */
    oomScoreAdj: "small",
    scheduler: SCHEDULER,
    ioPriority: IO_PRIORITY,
    execCPUAffinity: { optional: { initial: "text", final: "text" } },
  },
} as const satisfies Shape;
export interface Process extends Infer<typeof PROCESS_SHAPE> {}
