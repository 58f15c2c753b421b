/** Mounts of a container as they have been planned. @module */
import type { GuardedPath } from "../../linux/fs/guarded_path.ts";
import type { MountOptions } from "../../linux/mount/mount_options.ts";
import type { Mount } from "../spec/spec.ts";
import type { IdMaps } from "./idmap.ts";

/** A mount point is a file or a directory, as its source is. */
export type NodeKind = "directory" | "file";

/** Whether a mount shows what is somewhere already, in place of a file system of its own. */
export function isBind({ type, options = [] }: Mount): boolean {
  return type === "bind" || options.includes("bind") || options.includes("rbind");
}

export interface PlannedBind {
  kind: "bind";
  destination: string;
  source: string;
  /** How to get to the source, where others may write a part of its path; as any path without it. */
  guard?: GuardedPath;
  node: NodeKind;
  options: MountOptions;
  /** Maps through which owners of files in the mount are seen. */
  maps?: IdMaps;
  /** Number of a descriptor that the child has: the source, detached, and mapped already if it shall be. */
  tree?: number;
  /** The source, detached, for a child whose user cannot get to it by its path. */
  spare?: number;
}

/** One thing to do. `destination` is absolute inside the root, its links are followed already. */
export type PlannedMount =
  | PlannedBind
  | { kind: "filesystem"; destination: string; source: string; type: string; options: MountOptions; noLinks?: boolean }
  | { kind: "link"; destination: string; target: string }
  /** Make it read-only, now that all in it is made. */
  | { kind: "seal"; destination: string };
