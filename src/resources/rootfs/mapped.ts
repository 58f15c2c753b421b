/**
 * Snapshots whose owners are mapped. containerd writes the maps among the options of the mount (`uidmap=0:100000:65536`),
 * for whoever mounts it: the layers below are seen through them, what is written goes to the upper one with mapped owners.
 *
 * @module
 */
import { KataError } from "../../base/error.ts";
import { quoted } from "../../base/text.ts";
import { Fd, O_DIRECTORY, O_PATH } from "../../linux/io/fd.ts";
import { detachOne, mount } from "../../linux/mount/mount.ts";
import { mountFrom } from "../../linux/mount/mount_from.ts";
import { MOUNT_ATTR, MS, parseMountOptions } from "../../linux/mount/mount_options.ts";
import { mountSetattr, mountTree, openTree } from "../../linux/mount/mount_tree.ts";
import { type IdMaps, openUserNamespace } from "../../oci/mount/idmap.ts";
import type { IdMapping } from "../../oci/spec/spec.ts";
import type { RootfsMount } from "./rootfs.ts";

const OPTION = /^(uid|gid)map=(.*)$/s;
const LOWER = "lowerdir=";

/** Takes the maps out of the options. @throws {KataError} INVALID_ARGUMENT: one is missing, or is no map. */
export function takeMaps(options: readonly string[]): { maps?: IdMaps; options: readonly string[] } {
  const found = options.flatMap((option) => {
    const [, kind, text] = OPTION.exec(option) ?? [];
    return kind === undefined ? [] : [[kind, parseMap(option, text!)] as const];
  });
  if (found.length === 0) return { options };
  const { uid: uidMappings, gid: gidMappings } = Object.fromEntries(found);
  if (!uidMappings || !gidMappings) {
    throw new KataError(
      "INVALID_ARGUMENT",
      "Cannot map the owners of a root file system: uidmap and gidmap go together",
    );
  }
  return { maps: { uidMappings, gidMappings }, options: options.filter((option) => !OPTION.test(option)) };
}

/** @param text Such as `0:100000:65536`, several of them with commas between. */
function parseMap(option: string, text: string): IdMapping[] {
  return text.split(",").map((one) => {
    const [containerID, hostID, size] = /^\d+:\d+:\d+$/.test(one) ? one.split(":").map(Number) : [];
    if (size !== undefined) return { containerID: containerID!, hostID: hostID!, size };
    throw new KataError("INVALID_ARGUMENT", `Cannot map the owners of a root file system: ${quoted(option)} is no map`);
  });
}

/**
 * Mounts a snapshot through its maps.
 *
 * @param stage Directory to mount on; one beside it, which is removed again, holds the layers meanwhile.
 * @throws {KataError} UNIMPLEMENTED: it is neither a directory nor made of layers.
 */
export function mountMapped(
  { type, source, options }: RootfsMount,
  { maps, stage }: { maps: IdMaps; stage: string },
): void {
  const { flags, data } = parseMountOptions(options);
  const isBind = type === "bind" || (flags & MS.BIND) !== 0;
  if (!isBind && !data.split(",").some((option) => option.startsWith(LOWER))) throw noLayers(type);
  using userNamespace = openUserNamespace(maps);
  if (isBind) {
    mountThrough(source, stage, userNamespace);
    mount("", stage, { flags: MS.REMOUNT | MS.BIND | (flags & ~MS.REC) });
    return;
  }
  using undo = new DisposableStack();
  const directory = `${stage}.layers`;
  Deno.mkdirSync(directory, { mode: 0o700 });
  undo.defer(() => Deno.removeSync(directory));
  const short = data.split(",").map((option) => {
    if (!option.startsWith(LOWER)) return option;
    const names = option.slice(LOWER.length).split(":").map((path, index) => {
      const place = `${directory}/${index}`;
      Deno.mkdirSync(place, { mode: 0o700 });
      undo.defer(() => Deno.removeSync(place));
      mountThrough(path, place, userNamespace);
      // The file system keeps layers of its own.
      undo.defer(() => void detachOne(place));
      return `${index}`;
    });
    return `${LOWER}${names.join(":")}`;
  });
  mountFrom(directory, { source, target: stage, type, flags, data: short.join(",") });
}

/** The error for a file system that cannot be mapped. */
export function noLayers(type: string): KataError {
  const why = `file system ${quoted(type)} has no layers that could be seen through maps`;
  return new KataError("UNIMPLEMENTED", `Cannot map the owners of a root file system: ${why}`);
}

/** Shows a directory with other owners at another place. */
function mountThrough(source: string, target: string, userNamespace: Fd): void {
  using tree = openTree(source, { clone: true });
  mountSetattr(tree, { set: MOUNT_ATTR.IDMAP, userNamespace });
  using place = Fd.open(target, O_PATH | O_DIRECTORY);
  mountTree(tree, place);
}
