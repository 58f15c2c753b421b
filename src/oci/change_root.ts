/** From the machine's tree to the container's: its root becomes the root. @module */
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../linux/fd.ts";
import { MS, parsePropagation } from "../linux/mount_options.ts";
import type { MountInfo } from "../linux/mountinfo.ts";
import type { RootDirectory } from "./rootfs.ts";
import type { Steps } from "./steps.ts";

/** A proc or sysfs of the machine, and the mount that it lies on. */
export interface KernelMount {
  mountPoint: string;
  parent: string;
}

export interface ChangeRootOptions {
  /** As the specification has it: rprivate and so on. */
  propagation: string | undefined;
  /** Set to move the root instead of pivot_root(2): what is to be taken away first, as {@linkcode kernelMounts} finds it. */
  moved: readonly KernelMount[] | undefined;
}

const MNT_DETACH = 2;

export function changeRoot(steps: Steps, root: RootDirectory, { propagation, moved }: ChangeRootOptions): void {
  if (moved === undefined) pivot(steps, root);
  else {
    for (const mount of moved) takeAway(steps, mount);
    steps.call("fchdir", [root.fd], { label: "enter root" });
    steps.call("mount", [".", "/", null, MS.MOVE, null], { label: "move root" });
    steps.call("chroot", ["."], { label: "change root" });
  }
  steps.call("chdir", ["/"], { label: "enter root" });
  if (!propagation) return;
  const change = { propagation: parsePropagation(propagation) & ~MS.REC };
  root.setAttributes(root.fd, change, { label: `make root ${propagation}` });
}

function pivot(steps: Steps, root: RootDirectory): void {
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
 */
export function kernelMounts(table: readonly MountInfo[], rootfs: string): KernelMount[] {
  const byId = new Map(table.map((mount) => [mount.id, mount]));
  return table
    .filter(({ type, mountPoint }) =>
      (type === "proc" || type === "sysfs") && !`${mountPoint}/`.startsWith(`${rootfs}/`)
    )
    .map(({ mountPoint, parentId }) => ({ mountPoint, parent: byId.get(parentId)?.mountPoint ?? "/" }))
    .reverse(); // what lies on another first
}

/** In a user namespace it cannot be taken away, being locked, but covered. */
function takeAway(steps: Steps, { mountPoint, parent }: KernelMount): void {
  const label = `take away ${mountPoint}`;
  // If its parent were still shared, the machine's own would go.
  steps.call("mount", [null, parent, null, MS.PRIVATE, null], { label, ignore: ["EINVAL", "ENOENT"] });
  const ignore = ["EINVAL", "EPERM", "ENOENT"] as const;
  steps.callOrElse({ name: "umount2", args: [mountPoint, MNT_DETACH], options: { label, ignore } }, () => {
    steps.call("mount", ["none", mountPoint, "tmpfs", MS.RDONLY, "size=0k"], { label, ignore: ["ENOENT", "ENOTDIR"] });
  });
}
