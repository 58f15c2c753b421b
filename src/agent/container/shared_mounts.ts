/**
 * The host's mounts that containers use: their root file systems and volumes. Each is a file system of its own in the
 * guest, and a volume may be several containers'. While it stays mounted, the guest's kernel remembers its files, and the
 * host's daemon has a descriptor open for each of them. The same goes for the names under which they were mounted; a volume
 * that the host wants to detach would stay busy with it.
 *
 * @module
 */
import { isErrno } from "../../linux/ffi/errno.ts";
import { forgetUnusedNames } from "../../linux/fs/dentries.ts";
import { type GuardedPath, guardedText, openGuarded } from "../../linux/fs/guarded_path.ts";
import { statfs } from "../../linux/fs/statfs.ts";
import { O_DIRECTORY, O_PATH, pathOf } from "../../linux/io/fd.ts";
import type { GuardSource } from "../../oci/mount/plan.ts";
import type { Spec } from "../../oci/spec/spec.ts";
import { GUEST_PATH } from "../../agent_api/names.ts";
import { unmountAt } from "../storage/mount_point.ts";

/** Uses of the sandbox's containers. */
export class SharedMounts {
  readonly #users = new Map<string, number>();

  /** Counts a container in where its specification says that it uses something of the host. @returns Its use. */
  use({ root, mounts = [] }: Spec, guard: GuardSource): Disposable {
    return this.usePaths([root?.path ?? "", ...mounts.map(({ source = "" }) => source)], guard);
  }

  /**
   * Counts a user in, such as a storage, which opens what the host has mounted and shows something else.
   *
   * @param paths Places in the guest; those that are not the host's do not count.
   * @returns Its use: disposing it unmounts what nobody else uses. If that was nothing, there is nothing to release.
   */
  usePaths(paths: readonly string[], guard: GuardSource): Disposable {
    const places = paths.filter((path) => path.startsWith(`${GUEST_PATH.passthrough}/`)).map(guard)
      // A part of a volume is no mount of the host's.
      .filter(({ part }) => part === undefined);
    using undo = new DisposableStack();
    if (places.length > 0) undo.defer(forgetNames);
    for (const place of places) undo.defer(this.#useOne(place));
    return undo.move();
  }

  /** @returns What ends the use. */
  #useOne(place: GuardedPath): () => void {
    const name = guardedText(place);
    mountHere(place);
    this.#users.set(name, (this.#users.get(name) ?? 0) + 1);
    return () => {
      const left = this.#users.get(name)! - 1;
      if (left > 0) return void this.#users.set(name, left);
      this.#users.delete(name);
      awaitReleases(place);
      while (unmountAt(place));
    };
  }
}

/**
 * Has the kernel mount a directory of the host here, where it would else do so within each container on its own: each would
 * have another file system, and meet nobody else in its locks, sockets and fifos.
 */
function mountHere(place: GuardedPath): void {
  try {
    openGuarded(place, O_PATH | O_DIRECTORY)[Symbol.dispose]();
  } catch (error) {
    // A file is no file system of its own; what is missing is told where it is used.
    if (!isErrno(error, "ENOTDIR", "ENOENT")) throw error;
  }
}

function forgetNames(): void {
  try {
    forgetUnusedNames(GUEST_PATH.shared);
  } catch (error) {
    if (!isErrno(error, "EINVAL", "ENOENT")) throw error; // where nothing is shared, nothing is remembered
  }
}

/**
 * Waits until the host's daemon has heard of each file that was closed. The kernel does not wait for that itself, and
 * where a shared file system goes with such news under way, Linux 6.1 stops the thread that unmounts it, which is the
 * agent's, for ever ("VFS: Busy inodes after unmount"). The daemon answers in order, so an answer means that it has heard.
 */
function awaitReleases(place: GuardedPath): void {
  try {
    using open = openGuarded(place);
    statfs(pathOf(open));
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTCONN")) throw error; // there is no file, or no daemon, any more
  }
}
