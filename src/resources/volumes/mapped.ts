/**
 * Volumes whose owners are mapped, as for pods with user namespaces. The host maps them, as the guest's shared file system
 * cannot be; the guest's own files for everybody need no map.
 *
 * @module
 */
import type { Fd } from "../../linux/io/fd.ts";
import { MOUNT_ATTR } from "../../linux/mount/mount_options.ts";
import { mountSetattr } from "../../linux/mount/mount_tree.ts";
import { openUserNamespace } from "../../oci/mount/idmap.ts";
import type { IdMapping, Linux, Mount } from "../../oci/spec/spec.ts";
import { type OwnerMaps, refuse } from "./volume.ts";

const WORDS: readonly string[] = ["idmap", "ridmap"];

/**
 * Parts a mount from its maps; the container's own count for one that asks for mapped ids and names none.
 *
 * @throws {KataError} UNIMPLEMENTED: there are no maps.
 */
export function splitMaps(asked: Mount, linux: Linux = {}): { mount: Mount; maps?: OwnerMaps } {
  const { uidMappings, gidMappings, ...mount } = asked;
  const words = (mount.options ?? []).filter((option) => WORDS.includes(option));
  const hasOwn = uidMappings !== undefined || gidMappings !== undefined;
  if (!hasOwn && words.length === 0) return { mount: asked };
  const [uids, gids] = hasOwn ? [uidMappings, gidMappings] : [linux.uidMappings, linux.gidMappings];
  if (!uids?.length || !gids?.length) throw refuse(asked, "mapped ids need uidMappings and gidMappings");
  const options = mount.options?.filter((option) => !WORDS.includes(option));
  const maps = { uidMappings: uids, gidMappings: gids, recursive: words.at(-1) === "ridmap" };
  return { mount: { ...mount, ...(options && { options }) }, maps };
}

/** Maps the owners of a detached tree. @throws {ErrnoError} EINVAL: its file system cannot be mapped. */
export function mapOwners(tree: Fd, maps: OwnerMaps): void {
  using userNamespace = openUserNamespace(maps);
  mountSetattr(tree, { set: MOUNT_ATTR.IDMAP, userNamespace, recursive: maps.recursive });
}

/** Tells as whom an owner of files is seen; -1 for one who is not in the map. */
export function mappedId(id: number, maps: readonly IdMapping[]): number {
  const found = maps.find(({ containerID, size }) => id >= containerID && id < containerID + size);
  return found === undefined ? -1 : found.hostID + id - found.containerID;
}
