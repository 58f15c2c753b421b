/** A container's root file system, as the engine describes it and as the guest gets it. @module */
import type { Logger } from "../../base/log.ts";
import type { GuestSide, Handler, HostResource } from "../resource.ts";
import type { ContainerShare } from "../share_fs.ts";
import type { MountPoint } from "./mount_points.ts";

/** One mount of a snapshot, as the engine describes it; several of them are put on each other. */
export interface RootfsMount {
  /** `overlay`, `bind`, or a file system on a block device. */
  type: string;
  source: string;
  options: readonly string[];
}

export interface Rootfs {
  /** None: the engine has mounted it already at `path`. */
  mounts: readonly RootfsMount[];
  /** Absolute path of the root file system in the bundle. */
  path: string;
  /** Mount points that the root file system must have, if the guest may only read it. */
  readOnly?: readonly MountPoint[];
}

/** The parts of sandbox and container that root file systems use. */
export interface RootfsContext {
  containerId: string;
  share: ContainerShare;
  log?: Logger;
}

/** The guest's side of a root file system. */
export interface RootfsSide extends GuestSide {
  /** For `root.path` of the specification that the guest gets. */
  readonly rootPath: string;
}

/** A kind of root file systems. */
export type RootfsHandler = Handler<Rootfs, RootfsContext, HostResource<RootfsSide>>;
