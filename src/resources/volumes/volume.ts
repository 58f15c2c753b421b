/** Volumes: mounts of a specification as the guest gets them. @module */
import { quoted } from "../../base/text.ts";
import { KataError } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import type { Config } from "../../config/schema.ts";
import type { IdMaps } from "../../oci/mount/idmap.ts";
import type { NodeKind } from "../../oci/mount/planned.ts";
import type { Linux, Mount } from "../../oci/spec/spec.ts";
import { type GuestSide, type Handler, type HostResource, ready } from "../resource.ts";
import type { MountPoint } from "../rootfs/mount_points.ts";
import type { ContainerShare } from "../share_fs.ts";
import type { Source } from "./source.ts";

/** The parts of sandbox and container that volumes use. */
export interface VolumeContext {
  config: Config;
  share: ContainerShare;
  /** Of the container, for mounts that are mapped as it is. */
  linux?: Linux | undefined;
  log?: Logger;
}

/** How owners of a mount are seen. */
export interface OwnerMaps extends IdMaps {
  /** In the mounts below as well. */
  recursive: boolean;
}

/** A bind mount of the specification, with its source open. */
export interface BindMount {
  /** Without its maps of owners. */
  readonly mount: Mount;
  readonly source: Source;
  readonly maps?: OwnerMaps;
}

/** The guest's side of a volume. */
export interface VolumeSide extends GuestSide {
  /** For the specification that the guest gets. */
  readonly mount: Mount;
}

/** A volume, prepared on the host. */
export interface Volume extends HostResource<VolumeSide> {
  /** Where the container has it. */
  readonly point: MountPoint;
}

/** A kind of bind mounts; each is made as asked or refused by name, none is left out. */
export type VolumeHandler = Handler<BindMount, VolumeContext, Volume>;

export interface VolumeOptions {
  /** Kind of the mount point; default: a directory. */
  node?: NodeKind;
  /** Takes back what was done on the host. */
  undo?: Disposable;
}

/** A volume that the machine need not run for. @param name Of its handler. */
export function readyVolume(name: string, side: VolumeSide, { node = "directory", undo }: VolumeOptions = {}): Volume {
  return { ...ready(name, side, undo), point: { destination: side.mount.destination, node } };
}

/** The error for a mount that cannot be made. */
export function refuse({ source = "", destination }: Mount, why: string): KataError {
  return new KataError("UNIMPLEMENTED", `Cannot mount ${quoted(source)} on ${quoted(destination)}: ${why}`);
}
