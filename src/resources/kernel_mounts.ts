/**
 * Kernel file systems of the host inside a larger tree that is shown to the guest, as when a node's agent has all of `/`.
 * virtiofsd would read and write the host's /proc and /sys as root, environments and sysctls with it: they are left out.
 *
 * @module
 */
import type { Logger } from "../base/log.ts";
import { isErrno } from "../linux/ffi/errno.ts";
import { Fd, O_PATH } from "../linux/io/fd.ts";
import { openInRoot, RESOLVE } from "../linux/fs/in_root.ts";
import { detachOne } from "../linux/mount/mount.ts";
import { mountSetattr, mountTree, moveMount, openTree } from "../linux/mount/mount_tree.ts";
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
  /** Whether anything may be mounted below, if that is known: a look at the table takes milliseconds on a large node. */
  mayHold?: boolean;
}

/**
 * Copies a tree with all that is mounted in it, but for kernel file systems, what is mounted below those, and what no way
 * leads to.
 *
 * Mounts are added one by one, each told by its number: whoever may rename directories above or within the tree loses a
 * mount by that, and gains none. A copy of the whole could hold what the table did not show at that moment.
 *
 * @param source A path only where nobody else may rename what is on the way.
 * @throws {Error} The way to a mount is changed all the time, or has a name that is no text.
 */
export function copyWithoutKernel(source: string | Fd, options: KernelMountsOptions): Fd {
  using opened = typeof source === "string" ? Fd.open(source, O_PATH) : undefined;
  const root = opened ?? source as Fd;
  for (let left = MOST_TRIES; left > 0; left--) {
    using undo = new DisposableStack();
    const top = undo.use(openTree(root, { clone: true }));
    const rest = options.mayHold ?? mayHoldMounts(options.path) ? addMounts(top, root, options) : undo.move() && top;
    if (rest !== undefined) return rest;
  }
  throw new Error(
    "Cannot leave out kernel file systems: the way to what else is mounted there is changed all the time, or no text",
  );
}

const MOST_TRIES = 100;

/** @returns A copy of the whole; undefined: the way to a mount has changed meanwhile. */
function addMounts(top: Fd, source: Fd, { path, stage, propagation, log }: KernelMountsOptions): Fd | undefined {
  const { kept, left } = sortMounts(readMountInfo(), path);
  using undo = new DisposableStack();
  // On the stage meanwhile, as nothing can be mounted in a tree that is nowhere.
  moveMount(top, stage);
  undo.defer(() => void detachOne(stage));
  // The stage has made it shared, so that its copy would lose what it loses.
  mountSetattr(top, { propagation });
  const prefix = path === "/" ? 0 : path.length;
  for (const { id, mountPoint } of kept) {
    if (!addMount({ id, way: mountPoint.slice(prefix) }, { source, top, propagation })) return undefined;
  }
  if (left.length > 0) {
    log?.warning("Leaving kernel file systems of the host out of a volume", { volume: path, left });
  }
  return openTree(stage, { clone: true, recursive: true });
}

interface Adding {
  /** The original. */
  source: Fd;
  /** The copy, so far. */
  top: Fd;
  propagation: number;
}

/** @returns Whether the way, which may be another container's to change, leads there. */
function addMount({ id, way }: { id: number; way: string }, { source, top, propagation }: Adding): boolean {
  const how = { flags: O_PATH, resolve: RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS };
  try {
    using root = openInRoot(source, way, how);
    if (mountIdOf(root) !== id) return false;
    using place = openInRoot(top, way, how);
    using copy = openTree(root, { clone: true });
    mountSetattr(copy, { propagation });
    mountTree(copy, place);
    return true;
  } catch (error) {
    // EINVAL: unmounted since, or another kind of file is in its place.
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "EINVAL")) return false;
    throw error;
  }
}

/**
 * Parts what is mounted below a path, in the order in which it was mounted. Pure.
 *
 * @returns `left`: paths of kernel file systems that can be seen, but for those in others.
 */
function sortMounts(table: readonly MountInfo[], path: string): { kept: MountInfo[]; left: string[] } {
  const mounts = mountsBelow(table, path).reverse();
  const byId = new Map(mounts.map((mount) => [mount.id, mount]));
  const seen = new Set(mounts.filter((mount) => !isHidden(mount, mounts)));
  const isKernels = (mount: MountInfo | undefined): boolean => {
    for (let at = mount; at !== undefined; at = byId.get(at.parentId)) {
      if (at.mountPoint !== path && seen.has(at) && showsKernel(at.type)) return true;
    }
    return false;
  };
  const below = [...seen].filter(({ mountPoint }) => mountPoint !== path);
  const kept = below.filter((mount) => !mount.unbindable && !isKernels(mount));
  const left = below.filter((mount) => showsKernel(mount.type) && !isKernels(byId.get(mount.parentId)));
  return { kept, left: left.map(({ mountPoint }) => mountPoint).toSorted() };
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
