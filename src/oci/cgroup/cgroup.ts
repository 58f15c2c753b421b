/**
 * The cgroup of a container: where it is, and the interface that v1 and v2 implement.
 *
 * A controller is a file in `v1/` or `v2/` with `applyX(path, resources)` and `xStats(path)`. The path is the seam: unit
 * tests hand in a temp dir.
 *
 * @module
 */
import { quoted } from "../../base/text.ts";
import type { Resources } from "../spec/spec.ts";
import type { CgroupStats } from "./stats.ts";

/** Waiting for what the kernel does a little later. */
export interface WaitOptions {
  signal?: AbortSignal;
}

export interface FreezeOptions extends WaitOptions {
  /** Until it is given up, and the group thawed. */
  timeoutMs?: number;
}

/** One container's group in every hierarchy. */
export interface Cgroup {
  /** Directory in each hierarchy, by v1 controller; the empty key is v2. */
  readonly paths: Readonly<Record<string, string>>;
  /** The directory whose `memory.oom_control` (v1) or `memory.events` (v2) tells of kills; undefined without one. */
  readonly memoryPath: string | undefined;
  readonly version: 1 | 2;
  exists(): boolean;
  /** Hierarchies that it is in already, by their key in {@linkcode paths}. */
  present(): string[];
  /** Makes the directories. */
  create(): void;
  /** Sets limits. A limit that `resources` does not mention stays as it is (B6: nothing is set without resources). */
  apply(resources: Resources): void;
  /**
   * The files that a process of one thread writes "0" into, one per hierarchy, so that it joins: see `cgroupJoinTarget`.
   *
   * @param initPid A process of the container: on v2 the container may have moved itself further down, and its group
   *   then takes no processes (B3).
   */
  procsFiles(initPid?: number): string[];
  /** Every process in it and below. */
  members(): number[];
  isFrozen(): boolean;
  freeze(options?: FreezeOptions): Promise<void>;
  thaw(options?: WaitOptions): Promise<void>;
  /** Has what was killed die: on v1 a frozen process does so only when it thaws. */
  letDie(): void;
  /** Kills every process in it and below, frozen ones too, and waits until they are gone (B2, B7). */
  kill(options?: WaitOptions): Promise<void>;
  stats(): CgroupStats;
  /** Removes the directories if nothing is in them, which is the quickest way to learn it. @returns Whether all are gone. */
  removeIfEmpty(): boolean;
  /**
   * Removes the directories that nobody is in, once what has ended has left them.
   *
   * @param options `but`: the hierarchies where it is somebody else's.
   * @returns Directories that stay because somebody is in them.
   */
  removeUnused(options?: WaitOptions & { but?: readonly string[] }): Promise<string[]>;
  /** Removes the directories. Processes that are left move to the root first, as whole processes (B4). */
  remove(options?: WaitOptions): Promise<void>;
}

/**
 * The path below the root of each hierarchy, without a leading slash.
 *
 * @param cgroupsPath As in the configuration: a path, whose leading slash means the root of the hierarchy (B3), or
 *   systemd's `slice:prefix:name`, which becomes directories where there is no systemd to ask.
 * @param id The container's, which names the group if nothing else does.
 * @throws {RangeError} The path leaves the hierarchy.
 */
export function cgroupPath(cgroupsPath: string | undefined, id: string): string {
  const parts = (cgroupsPath || id).replaceAll(":", "/").split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new RangeError(`Cannot use cgroups path ${quoted(cgroupsPath)}: it holds ".."`);
  return parts.length === 0 ? id : parts.join("/");
}
