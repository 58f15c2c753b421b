/** Copies a mount point's mode to the tmpfs mounted on it, and its content too with the option `tmpcopyup`. @module */
import { KataError } from "../../base/error.ts";
import { Fd, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_WRONLY, pathOf } from "../../linux/io/fd.ts";
import { makeDirectoryIn } from "../../linux/fs/guarded_path.ts";
import { changeOwnerAt, makeNodeAt } from "../../linux/fs/directory.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { openInRoot, RESOLVE } from "../../linux/fs/in_root.ts";

/** A copy that the parent makes while the child, which has both directories open, waits. */
export interface CopyUp {
  withContents: boolean;
  /** Whether the options name no mode. */
  withMode: boolean;
}

/** Directories that the child hands over, in this order. */
export interface CopiedDirectories {
  /** The one below the mount. */
  from: Fd | undefined;
  to: Fd | undefined;
  /** The mount point as the image has it; none if it was made just now. */
  image: Fd | undefined;
}

/** @throws {Error} The tmpfs is too small, or the image cannot be read. */
export function copyUp({ withContents, withMode }: CopyUp, { from, to, image }: CopiedDirectories): void {
  if (from === undefined || to === undefined) {
    throw new KataError(
      "PERMISSION_DENIED",
      "Cannot fill a tmpfs: its process was tampered with, and has handed over nothing",
    );
  }
  if (withContents) copyDirectory(from, to);
  if (withMode && image !== undefined) copyMode(from, to);
}

function copyDirectory(source: Fd, target: Fd): void {
  for (const { name, isDirectory, isFile, isSymlink } of Deno.readDirSync(pathOf(source))) {
    if (isSymlink) copyLink(source, target, name);
    else if (isDirectory || isFile) copyNode(source, target, { name, isDirectory });
    else copySpecial(source, target, name);
  }
}

function copyLink(source: Fd, target: Fd, name: string): void {
  const path = `${pathOf(source)}/${name}`;
  Deno.symlinkSync(Deno.readLinkSync(path), `${pathOf(target)}/${name}`);
  changeOwnerAt(target, name, ownerOf(Deno.lstatSync(path)));
}

/** A pipe, or a device, of which the container's cgroup decides as of any. Of a socket nobody is at the other end. */
function copySpecial(source: Fd, target: Fd, name: string): void {
  const stat = Deno.lstatSync(`${pathOf(source)}/${name}`);
  if (stat.isSocket || stat.mode === null) return;
  try {
    makeNodeAt(target, name, { mode: stat.mode, device: stat.rdev ?? 0 });
  } catch (error) {
    if (isErrno(error, "EPERM")) return; // a plain user has no devices
    throw error;
  }
  changeOwnerAt(target, name, ownerOf(stat));
  // Without the umask, and once the owner is right. What we have just made is no link, as its name was new.
  Deno.chmodSync(`${pathOf(target)}/${name}`, stat.mode & 0o7777);
}

function ownerOf({ uid, gid }: Deno.FileInfo): { uid: number; gid: number } {
  return { uid: uid ?? 0, gid: gid ?? 0 };
}

/**
 * The image may change under us: what is opened without following links, and only that, is copied, and only into what is
 * new. A name that comes twice, as a link and as a file, would lead the copy to where the link does.
 */
function copyNode(parent: Fd, target: Fd, { name, isDirectory }: { name: string; isDirectory: boolean }): void {
  const flags = O_PATH | (isDirectory ? O_DIRECTORY : 0);
  using node = openInRoot(parent, name, { flags, resolve: RESOLVE.NO_SYMLINKS });
  if (isDirectory) {
    using made = makeDirectoryIn(target, name).directory;
    copyDirectory(node, made);
    copyOwnerAndMode(node, made);
  } else if (Deno.statSync(pathOf(node)).isFile) {
    using made = Fd.openAt(target, name, { flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600 });
    Deno.copyFileSync(pathOf(node), pathOf(made));
    copyOwnerAndMode(node, made);
  }
}

function copyOwnerAndMode(source: Fd, target: Fd): void {
  const { uid, gid } = Deno.statSync(pathOf(source));
  // The owner first: changing it takes the set-user-id bit away.
  Deno.chownSync(pathOf(target), uid, gid);
  copyMode(source, target);
}

function copyMode(source: Fd, target: Fd): void {
  const { mode } = Deno.statSync(pathOf(source));
  if (mode !== null) Deno.chmodSync(pathOf(target), mode & 0o7777);
}
