/**
 * The states of a container, and what a state file keeps of it between two calls of a runtime.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/runtime.md#state
 * @module
 */
import type { Spec } from "./spec.ts";

export type Status = "creating" | "created" | "running" | "paused" | "stopped";

/** What the specification calls the state: printed by `state`, and given to hooks on their standard input. */
export interface OciState {
  ociVersion: string;
  id: string;
  status: Status;
  /** 0 when stopped. */
  pid: number;
  bundle: string;
  annotations?: Record<string, string>;
}

/** The file `state.json` in the container's state directory. */
export interface StoredState {
  id: string;
  pid: number;
  /** Ticks since boot, from /proc/PID/stat: tells the process from another one that got its number later. */
  startTime: number;
  bundle: string;
  rootfs: string;
  /** ISO 8601, UTC. */
  created: string;
  /** Directory of the container's cgroup in each hierarchy; the key is the v1 controller, or empty for v2. */
  cgroupPaths: Record<string, string>;
  spec: Spec;
}
