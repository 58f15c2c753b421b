/**
 * What a sandbox needs from the host. This file: the directory that the host shares with the guest by virtio-fs, and
 * what is put into it by mounts.
 *
 * @module
 */
import { errorChain } from "../base/error.ts";
import { removeIfThere } from "../base/files.ts";
import { isErrno } from "../linux/errno.ts";
import { mount, setPropagation, umount } from "../linux/mount.ts";
import { mountsBelow, readMountInfo } from "../linux/mountinfo.ts";
import { MS } from "../linux/mount_options.ts";
import { GUEST_PATH } from "../rpc/agent_api.ts";

/** A place in the shared directory, seen from both sides. */
export interface SharedPath {
  host: string;
  guest: string;
}

/**
 * One sandbox's shared directory. Disposing it unmounts everything below it and removes it.
 *
 * It is a mount of its own with its own peer group: a file-sharing daemon in a mount namespace of its own receives what
 * is mounted later, and nothing of it reaches the mount that the directory is on.
 */
export class SharedDirectory implements Disposable {
  /** What virtiofsd exports. */
  readonly source: string;
  readonly #directory: string;

  /** @param root Directory of all sandboxes, such as `/run/kata-containers/shared/sandboxes`. */
  constructor(root: string, sandboxId: string) {
    this.#directory = `${root}/${sandboxId}`;
    this.source = `${this.#directory}/rw`;
    using undo = new DisposableStack();
    undo.use(this);
    Deno.mkdirSync(`${this.source}/passthrough`, { recursive: true, mode: 0o750 });
    mount(this.source, this.source, { flags: MS.BIND });
    setPropagation(this.source, MS.PRIVATE);
    setPropagation(this.source, MS.SHARED);
    undo.move();
  }

  /** The place for `name`, such as `<container id>/rootfs`; nothing is made there. */
  path(name: string): SharedPath {
    return { host: `${this.source}/passthrough/${name}`, guest: `${GUEST_PATH.passthrough}/${name}` };
  }

  [Symbol.dispose](): void {
    removeShared(this.#directory);
  }
}

/**
 * Unmounts everything at or below a shared directory and removes it. Needs nothing but the path, so that a crashed
 * shim's directory can be removed by another process. A missing directory is no error (B38).
 *
 * @throws {AggregateError} What could not be unmounted; then no file is removed, as it might be a container's own.
 */
export function removeShared(directory: string): void {
  unmountBelow(directory);
  removeIfThere(directory, { recursive: true });
}

/** Unmounts everything at or below `path`, the last mount first. */
export function unmountBelow(path: string): void {
  const errors: unknown[] = [];
  for (const { mountPoint } of mountsBelow(readMountInfo(), path)) {
    try {
      // The guest's inode cache keeps files open in virtiofsd: without detaching, a live guest makes this EBUSY.
      umount(mountPoint, { detach: true });
    } catch (error) {
      // Mounts in a shared peer group vanish together.
      if (!isErrno(error, "EINVAL", "ENOENT")) {
        errors.push(new Error(`Cannot unmount "${mountPoint}"`, { cause: error }));
      }
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, errors.map(errorChain).join("; "));
}
