/**
 * Kernel file systems of the host inside a larger tree that is shown to the guest, as when a node's agent has all of `/`.
 * virtiofsd would read and write the host's /proc and /sys as root, environments and sysctls with it: they are left out.
 *
 * @module
 */
import type { Logger } from "../base/log.ts";
import { isErrno } from "../linux/ffi/errno.ts";
import { type Fd, O_PATH, pathOf } from "../linux/io/fd.ts";
import { openInRoot, RESOLVE } from "../linux/fs/in_root.ts";
import { detachOne, detachOpen } from "../linux/mount/mount.ts";
import { type MountAttributes, mountSetattr, moveMount, openTree } from "../linux/mount/mount_tree.ts";
import { mayHoldMounts, mountsBelow, readMountInfo } from "../linux/mount/mountinfo.ts";
import { statfs } from "../linux/fs/statfs.ts";
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
  let before = "";
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const paths = kernelMounts(stage);
    const gone = paths.filter((path) => detachKernel(tree, path));
    for (const path of gone) left.add(path);
    // Kernel mounts that are left are hidden by other mounts, unless somebody has moved a mount above them meanwhile.
    const now = paths.join("\0");
    if (gone.length === 0 && now === before) {
      return { rest: openTree(stage, { clone: true, recursive: true }), left: [...left] };
    }
    before = now;
  }
  throw new Error("Cannot leave out kernel file systems: the directories above them are moved all the time");
}

/** @returns Whether there was one at the path, which may be another container's to change. */
function detachKernel(tree: Fd, path: string): boolean {
  try {
    using root = openInRoot(tree, path, { flags: O_PATH, resolve: RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS });
    if (!showsKernel(statfs(pathOf(root)).magic)) return false;
    detachOpen(root);
    return true;
  } catch (error) {
    // EINVAL: it is in a kernel file system, but nobody's root.
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "EINVAL")) return false;
    throw error;
  }
}

/** Where they are mounted below a path, with the way from there; the upper first. */
function kernelMounts(path: string): string[] {
  const below = mountsBelow(readMountInfo(), path).filter(({ mountPoint, type }) => {
    return mountPoint !== path && showsKernel(type);
  });
  return [...new Set(below.map(({ mountPoint }) => mountPoint.slice(path === "/" ? 0 : path.length)))].toSorted();
}
