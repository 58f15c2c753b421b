/** A file or directory of the host, shown to the guest through the shared directory. @module */
import { mountSetattr, openTree } from "../../linux/mount/mount_tree.ts";
import { MOUNT_ATTR, MS, parseMountOptions } from "../../linux/mount/mount_options.ts";
import type { Logger } from "../../base/log.ts";
import { fileIdentity } from "../../linux/fs/identity.ts";
import { statfs } from "../../linux/fs/statfs.ts";
import { type Fd, pathOf } from "../../linux/io/fd.ts";
import { mayHoldMounts, mountIdOf, mountsBelow } from "../../linux/mount/mountinfo.ts";
import { copyWithoutKernel } from "../kernel_mounts.ts";
import { mapOwners } from "./mapped.ts";
import type { Source } from "./source.ts";
import { type OwnerMaps, readyVolume, refuse, type VolumeHandler } from "./volume.ts";

/** Characters of the mount point's name that are kept, for people who look into the shared directory. */
const KEPT_NAME = 32;

/**
 * Takes all that no other handler takes. Nothing that happens here reaches the source. New mounts below the source appear
 * in the guest as well, unless the mount is private or read-only: they would come with the host's flags, and the guest is
 * not trusted to keep its own. Who only reads what another container writes has that one's tree, with its later mounts.
 *
 * Refused with UNIMPLEMENTED: what is mounted within is to appear on the host, or the source is the end of something that
 * another kernel does not have.
 */
export const shareVolume: VolumeHandler = {
  name: "share",
  matches: () => true,
  prepare({ mount, source, maps }, { share, log }) {
    const { options = [] } = mount;
    if (options.some((option) => /^r?shared$/.test(option))) {
      throw refuse(
        mount,
        "what is mounted in a virtual machine cannot appear on the host, which propagation in both directions is",
      );
    }
    if (source.kind !== "directory" && source.kind !== "file") {
      throw refuse(mount, `a ${source.kind} of the host leads nowhere in a virtual machine`);
    }
    const readOnly = isReadOnly(options);
    if (readOnly && options.some((option) => /^r?slave$/.test(option))) {
      log?.warning(
        "What the host mounts later below a read-only volume appears in it only if another container writes it",
        {
          volume: source.path,
        },
      );
    }
    const mayHold = source.kind === "directory" && isRecursiveBind(options) && mayHoldMounts(source.path);
    const how = { options, readOnly, maps, mayHold, stage: share.stage, log };
    const make = () => copySource(source, how);
    const shown = share.showOnce({ keys: keysOf(source, how), make, name: baseName(mount.destination), readOnly });
    const side = { mount: { ...mount, source: shown.guestPath } };
    return readyVolume(this.name, side, { node: source.kind, undo: shown });
  },
};

interface CopyOptions {
  options: readonly string[];
  readOnly: boolean;
  maps: OwnerMaps | undefined;
  /** Whether there may be mounts below that are shown as well. */
  mayHold: boolean;
  stage: string;
  log: Logger | undefined;
}

/**
 * Names of the trees that will do: by the directory or file, how it is mounted, what is mounted below, and how that is
 * shown. Who may only read takes a tree that others write, which the guest mounts read-only: else the two would not meet.
 */
function keysOf(from: Source, { options, readOnly, maps, mayHold }: CopyOptions): string[] {
  const { fd, path, table } = from;
  // Owners tell mounts apart that show them by other maps.
  const { uid, gid } = Deno.statSync(pathOf(fd));
  const isRecursive = isRecursiveBind(options);
  const mounts = (mayHold ? mountsBelow(table(), path) : []).filter(({ mountPoint }) => mountPoint !== path)
    .map(({ id, major, minor, root }) => [id, major, minor, root]);
  const source = [
    fileIdentity(fd),
    placeOf(from),
    uid,
    gid,
    maps ?? null,
    statfs(pathOf(fd)).mountFlags,
    isRecursive,
    mounts,
  ];
  const ways = readOnly ? [false, true] : [false];
  return ways.map((way) => JSON.stringify([...source, way, propagationOf({ options, readOnly: way })]));
}

/**
 * The place on its file system, which is the same through each of the file system's mounts. Snapshots may repeat the
 * numbers of their origin's files, but have no place in common with it.
 */
function placeOf(source: Source): string {
  const found = source.mountInfo();
  // Of a mount that is in no table, such as one detached: nobody else gets there by a path.
  if (found === undefined) return `mount ${mountIdOf(source.fd)} ${source.path}`;
  const { mount: { major, minor, root }, within } = found;
  return `${major}:${minor} ${root === "/" ? "" : root}${within === "/" ? "" : within}`;
}

function isRecursiveBind(options: readonly string[]): boolean {
  return options.includes("rbind") || !options.includes("bind");
}

function propagationOf({ options, readOnly }: Pick<CopyOptions, "options" | "readOnly">): number {
  return readOnly || options.some(isPrivate) ? MS.PRIVATE : MS.SLAVE;
}

function copySource({ fd, path, kind }: Source, { options, readOnly, maps, mayHold, stage, log }: CopyOptions): Fd {
  const recursive = isRecursiveBind(options);
  const propagation = propagationOf({ options, readOnly });
  using undo = new DisposableStack();
  const tree = undo.use(
    recursive && kind === "directory"
      ? copyWithoutKernel(fd, { path, stage, propagation, log, mayHold })
      : openTree(fd, { clone: true }),
  );
  mountSetattr(tree, { propagation, recursive: true });
  if (maps !== undefined) mapOwners(tree, maps);
  undo.move();
  return tree;
}

/** Mounts below a read-only one are so too, as in the guest. */
function isReadOnly(options: readonly string[]): boolean {
  const { flags, recursive = { set: 0, clear: 0 } } = parseMountOptions(options);
  if ((recursive.clear & MOUNT_ATTR.RDONLY) !== 0) return false;
  return (flags & MS.RDONLY) !== 0 || (recursive.set & MOUNT_ATTR.RDONLY) !== 0;
}

function isPrivate(option: string): boolean {
  return /^r?(private|unbindable)$/.test(option);
}

function baseName(path: string): string {
  const name = path.replace(/\/+$/, "").split("/").at(-1) || "root";
  return [...name].slice(0, KEPT_NAME).join("");
}
