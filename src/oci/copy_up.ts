/** What a new tmpfs takes on of its mount point: the mode, and all that is in it with the option `tmpcopyup`. @module */
import type { Child } from "../linux/child.ts";
import { type Fd, O_DIRECTORY, O_NONBLOCK, O_PATH, O_RDONLY } from "../linux/fd.ts";
import { openInRoot, RESOLVE } from "../linux/in_root.ts";
import { takeDescriptor } from "../linux/pidfd.ts";
import type { Slot } from "../linux/step.ts";

/** Where the child has both directories open. It waits meanwhile. */
export interface CopyUp {
  /** The directory below the mount. */
  from: Slot;
  to: Slot;
  /** That directory as the image has it; a negative errno for one that was made to mount on. None: the options name a mode. */
  image: Slot | undefined;
  withContents: boolean;
}

/** @throws {Error} The tmpfs is too small, or the image cannot be read. */
export function copyUp({ pidfd }: Child, { from, to, image, withContents }: CopyUp): void {
  using source = takeDescriptor(pidfd, from.value);
  using target = takeDescriptor(pidfd, to.value);
  const path = pathOf(target);
  if (withContents) copyDirectory(source, path);
  if (image !== undefined && image.value >= 0) copyMode(source, path);
}

function copyDirectory(source: Fd, target: string): void {
  for (const { name, isDirectory, isFile, isSymlink } of Deno.readDirSync(pathOf(source))) {
    const path = `${target}/${name}`;
    // Devices, sockets and pipes stay behind: a new file system holds none of them.
    if (isSymlink) Deno.symlinkSync(Deno.readLinkSync(`${pathOf(source)}/${name}`), path);
    else if (isDirectory || isFile) copyNode(source, { name, path, isDirectory });
  }
}

/** The image may change under us: what is opened without following links, and only that, is copied. */
function copyNode(parent: Fd, { name, path, isDirectory }: { name: string; path: string; isDirectory: boolean }): void {
  const flags = isDirectory ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK;
  using node = openInRoot(parent, name, { flags, resolve: RESOLVE.NO_SYMLINKS });
  if (isDirectory) {
    Deno.mkdirSync(path);
    copyDirectory(node, path);
  } else {
    Deno.copyFileSync(pathOf(node), path);
  }
  copyOwnerAndMode(node, path);
}

function copyOwnerAndMode(source: Fd, path: string): void {
  const { uid, gid } = Deno.statSync(pathOf(source));
  // The owner first: changing it takes the set-user-id bit away.
  Deno.chownSync(path, uid, gid);
  copyMode(source, path);
}

function copyMode(source: Fd, path: string): void {
  const { mode } = Deno.statSync(pathOf(source));
  if (mode !== null) Deno.chmodSync(path, mode & 0o7777);
}

function pathOf(fd: Fd): string {
  return `/proc/self/fd/${fd.number}`;
}
