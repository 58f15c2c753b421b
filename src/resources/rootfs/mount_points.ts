/** Mount points of a root file system that nobody in the guest may write to. @module */
import { mkdirAt } from "../../linux/fs/directory.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_WRONLY, pathOf } from "../../linux/io/fd.ts";
import { openInRoot, RESOLVE } from "../../linux/fs/in_root.ts";
import { resolveInside } from "../../oci/mount/inside.ts";
import type { NodeKind } from "../../oci/mount/planned.ts";
import { split } from "../../oci/mount/rootfs.ts";

/** Where something will be mounted, or has to be there. */
export interface MountPoint {
  /** In the container, as its specification has it. */
  destination: string;
  node: NodeKind;
}

/**
 * Makes those that are missing, as the guest would if it could: in order, as a later one may lie in what is mounted on an
 * earlier one, and following the links of the image as if it were the root.
 *
 * @param root The root file system, not seen by anybody yet.
 */
export function makeMountPoints(root: Fd, points: readonly MountPoint[]): void {
  const covered: string[] = [];
  for (const { destination, node } of points) {
    const path = resolveInside(pathOf(root), destination, { covered });
    if (!covered.some((one) => `${path}/`.startsWith(`${one}/`))) make(root, split(path), node);
    covered.push(path);
  }
}

function make(root: Fd, parts: readonly string[], node: MountPoint["node"]): void {
  let directory = root.dup();
  try {
    for (const [at, name] of parts.entries()) {
      const isLast = at === parts.length - 1;
      unlessThere(() => isLast && node === "file" ? makeFile(directory, name) : mkdirAt(directory, name, 0o755));
      if (isLast) return;
      using above = directory;
      directory = openInRoot(above, name, { flags: O_PATH | O_DIRECTORY, resolve: RESOLVE.NO_SYMLINKS });
    }
  } finally {
    directory[Symbol.dispose]();
  }
}

function makeFile(directory: Fd, name: string): void {
  Fd.openAt(directory, name, { flags: O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, mode: 0o755 })[Symbol.dispose]();
}

function unlessThere(make: () => void): void {
  try {
    make();
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
}
