/** Paths that a container may not read, or may not write. @module */
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import { MOUNT_ATTR, MS } from "../../linux/mount/mount_options.ts";
import { AT_FDCWD, O_CLOEXEC } from "../../linux/io/fd.ts";
import { OPEN_TREE_CLONE } from "../../linux/mount/mount_options.ts";
import type { RootDirectory } from "./rootfs.ts";

/**
 * Hides paths: a file behind our own /dev/null (the container's could be anything), a directory behind an empty one.
 * A path that is not there is passed over. A read-only mount of the device can be written to, but root in the container
 * cannot change the mode or the owner of the machine's own node.
 */
export function addMaskedPaths(steps: SyscallProgram, root: RootDirectory, paths: readonly string[]): void {
  for (const path of paths) {
    const label = `mask ${path}`;
    root.ifThere(path, (target) => {
      const args = ["tmpfs", root.pathTo(target), "tmpfs", MS.RDONLY, "size=0k"];
      steps.callOrElse({ name: "mount", args, options: { label, ignore: ["ENOTDIR"] } }, () => {
        const tree = steps.slot();
        steps.call("open_tree", [AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | O_CLOEXEC], { label, result: tree });
        root.setAttributes(tree, { set: MOUNT_ATTR.RDONLY }, { label });
        root.place(tree, target, { label });
      });
    });
  }
}

export function addReadonlyPaths(root: RootDirectory, paths: readonly string[]): void {
  for (const path of paths) {
    const label = `make ${path} read-only`;
    root.ifThere(path, (target) => {
      const tree = root.cloneTree(target, label);
      root.setAttributes(tree, { set: MOUNT_ATTR.RDONLY, recursive: true }, { label });
      root.place(tree, target, { label });
    });
  }
}
