/**
 * Kernel file systems of the host inside a larger tree that is shown to the guest, as when a node's agent has all of `/`.
 * virtiofsd would read and write the host's /proc and /sys as root, environments and sysctls with it: they are left out.
 *
 * @module
 */
import type { Logger } from "../base/log.ts";
import { isErrno } from "../linux/ffi/errno.ts";
import { type Fd, O_PATH } from "../linux/io/fd.ts";
import { openInRoot, RESOLVE } from "../linux/fs/in_root.ts";
import { detachOne, detachOpen } from "../linux/mount/mount.ts";
import { MS } from "../linux/mount/mount_options.ts";
import { type MountAttributes, mountSetattr, moveMount, openTree } from "../linux/mount/mount_tree.ts";
import { mayHoldMounts, mountIdOf, type MountInfo, mountsBelow, readMountInfo } from "../linux/mount/mountinfo.ts";
import { showsKernel } from "./volumes/kernel_path.ts";

export interface KernelMountsOptions {
  /** Where the tree was copied from, without links. */
  path: string;
  /** Where mounts can be seen by nobody else. */
  stage: string;
  /** Propagation of the copy, which is not shared. */
  propagation: number;
  log?: Logger | undefined;
}

/**
 * Copies a tree with all that is mounted in it, but for kernel file systems and what is mounted below those.
 *
 * @throws {Error} The way to one of them is changed all the time.
 */
export function copyWithoutKernel(source: string | Fd, options: KernelMountsOptions): Fd {
  const { path, stage, log } = options;
  const attributes = { propagation: options.propagation, recursive: true };
  using undo = new DisposableStack();
  const tree = undo.use(openTree(source, { clone: true, recursive: true }));
  mountSetattr(tree, attributes);
  if (!mayHoldMounts(path) || kernelMounts(path).length === 0) {
    undo.move();
    return tree;
  }
  const { rest, left } = takeAway(tree, stage, attributes);
  log?.warning("Leaving kernel file systems of the host out of a volume", {
    volume: path,
    left: left.map((one) => `${path === "/" ? "" : path}${one}`),
  });
  return rest;
}

const MOST_PASSES = 100;

/** Unmounts kernel file systems in a tree, on the stage meanwhile, as only an attached mount can be unmounted. */
function takeAway(tree: Fd, stage: string, attributes: MountAttributes): { rest: Fd; left: string[] } {
  using undo = new DisposableStack();
  moveMount(tree, stage);
  undo.defer(() => void detachOne(stage));
  // The stage has made it shared, so that its copy would lose what it loses.
  mountSetattr(tree, attributes);
  const left = new Set<string>();
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const fates = kernelMounts(stage).map((one) => ({
      ...one,
      fate: one.isHidden ? "hidden" : detachKernel(tree, one),
    }));
    for (const { path } of fates.filter(({ fate }) => fate === "gone")) left.add(path);
    if (fates.some(({ fate }) => fate !== "hidden")) continue;
    // An unmount of the cover on the host would show them.
    if (fates.length > 0) mountSetattr(tree, { propagation: MS.PRIVATE, recursive: true });
    return { rest: openTree(stage, { clone: true, recursive: true }), left: [...left] };
  }
  throw new Error("Cannot leave out kernel file systems: the directories above them are moved all the time");
}

interface KernelMount {
  id: number;
  /** The way to it, from the root of the tree. */
  path: string;
  /** Whether another mount is on it, or on the way to it. */
  isHidden: boolean;
}

/** Unmounts one, if the way to it, which may be another container's to change, leads there; else it has moved. */
function detachKernel(tree: Fd, { id, path }: KernelMount): "gone" | "moved" {
  try {
    using root = openInRoot(tree, path, { flags: O_PATH, resolve: RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS });
    if (mountIdOf(root) !== id) return "moved";
    detachOpen(root);
    return "gone";
  } catch (error) {
    // EINVAL: somebody has moved it since.
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "EINVAL")) return "moved";
    throw error;
  }
}

/** All that are mounted below a path, the upper first. */
function kernelMounts(path: string): KernelMount[] {
  const below = mountsBelow(readMountInfo(), path);
  return below
    .filter(({ mountPoint, type }) => mountPoint !== path && showsKernel(type))
    .map((mount) => ({
      id: mount.id,
      path: mount.mountPoint.slice(path === "/" ? 0 : path.length),
      isHidden: isHidden(mount, below),
    }))
    .toSorted((one, other) => one.path < other.path ? -1 : 1);
}

const NO_TEXT = "\ufffd";

/** Whether a mount that is not on the way to another one stands in that way. Pure. */
export function isHidden(mount: MountInfo, mounts: readonly MountInfo[]): boolean {
  // Two names that are no text read alike.
  if (mount.mountPoint.includes(NO_TEXT)) return false;
  const way = new Set<number>();
  for (let at: MountInfo | undefined = mount; at !== undefined && !way.has(at.id);) {
    way.add(at.id);
    const { parentId }: MountInfo = at;
    at = mounts.find(({ id }) => id === parentId);
  }
  return mounts.some(({ id, parentId, mountPoint }) =>
    !way.has(id) && way.has(parentId) && `${mount.mountPoint}/`.startsWith(`${mountPoint}/`)
  );
}
