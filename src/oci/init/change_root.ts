/** From the machine's tree to the container's: its root becomes the root. @module */
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../linux/io/fd.ts";
import { MS, parsePropagation } from "../../linux/mount/mount_options.ts";
import type { MountInfo } from "../../linux/mount/mountinfo.ts";
import type { RootDirectory } from "../mount/rootfs.ts";

export interface ChangeRootOptions {
  /** As the specification has it: rprivate and so on. */
  propagation: string | undefined;
  /** Set to move the root instead of pivot_root(2): what is to be covered first, as {@linkcode kernelMounts} finds it. */
  moved: readonly string[] | undefined;
  /** Whether the mount namespace is the container's own: the root of others stays where it is. */
  isAlone: boolean;
}

const MNT_DETACH = 2;

export function changeRoot(
  steps: SyscallProgram,
  root: RootDirectory,
  { propagation, moved, isAlone }: ChangeRootOptions,
): void {
  if (!isAlone) {
    steps.call("fchdir", [root.fd], { label: "enter root" });
    steps.call("chroot", ["."], { label: "change root" });
  } else if (moved === undefined) pivot(steps, root);
  else {
    for (const mountPoint of moved) cover(steps, mountPoint);
    // If it were still shared, the machine's own root would be covered as well.
    steps.call("mount", [null, "/", null, MS.PRIVATE, null], { label: "cut off the old root" });
    steps.call("fchdir", [root.fd], { label: "enter root" });
    steps.call("mount", [".", "/", null, MS.MOVE, null], { label: "move root" });
    steps.call("chroot", ["."], { label: "change root" });
  }
  steps.call("chdir", ["/"], { label: "enter root" });
  if (!propagation) return;
  const change = { propagation: parsePropagation(propagation) & ~MS.REC };
  root.setAttributes(root.fd, change, { label: `make root ${propagation}` });
}

function pivot(steps: SyscallProgram, root: RootDirectory): void {
  steps.call("fchdir", [root.fd], { label: "enter root" });
  const oldRoot = steps.slot();
  const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  steps.call("openat", [AT_FDCWD, "/", flags, 0], { label: "open the old root", result: oldRoot });
  steps.call("pivot_root", [".", "."], { label: "pivot root" });
  // The old root is on top of the new one now. "." would mean the new one to mount(2), the old one to umount2(2).
  steps.call("fchdir", [oldRoot], { label: "enter the old root" });
  // If it were still shared, letting go of it would unmount the host's own file systems.
  steps.call("mount", [null, ".", null, MS.SLAVE | MS.REC, null], { label: "cut off the old root" });
  steps.call("umount2", [".", MNT_DETACH], { label: "let go of the old root" });
  steps.close(oldRoot);
}

/**
 * Finds what would stay in the container's mount namespace below a root that was moved. The kernel lets a user mount a new
 * proc or sysfs, without any mask on it, where there is one already that can be seen whole.
 *
 * @returns Mount points, those below others first.
 */
export function kernelMounts(table: readonly MountInfo[], rootfs: string): string[] {
  const isBelow = (mountPoint: string) => `${mountPoint}/`.startsWith(`${rootfs}/`);
  const points = table.filter(({ type, mountPoint }) => ["proc", "sysfs"].includes(type) && !isBelow(mountPoint));
  return [...new Set(points.map(({ mountPoint }) => mountPoint))].reverse();
}

/** Not taken away: of mounts on top of each other, a path leads to the last only, whose end would be the machine's too. */
function cover(steps: SyscallProgram, mountPoint: string): void {
  const options = { label: `cover ${mountPoint}`, ignore: ["ENOENT", "EACCES"] } as const;
  steps.call("mount", [null, mountPoint, null, MS.PRIVATE | MS.REC, null], options);
  steps.call("mount", ["none", mountPoint, "tmpfs", MS.RDONLY, "size=0k"], options);
}
