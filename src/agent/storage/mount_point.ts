/** Directories to mount on, which are made, mounted on and unmounted by what is open. @module */
import { rawName, rmdirAt } from "../../linux/fs/directory.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { type Fd, pathOf } from "../../linux/io/fd.ts";
import { type GuardedPath, makeGuarded, openGuarded, splitLast } from "../../linux/fs/guarded_path.ts";
import { detachOne, mount, type MountCall } from "../../linux/mount/mount.ts";

/**
 * Makes the directory if it is not there, and mounts on it. Disposing it unmounts, and removes a directory that it made; one
 * that was there before is somebody else's, and stays.
 */
export function mountAt(place: GuardedPath, source: string, call: MountCall): Disposable {
  const { directory, isMade } = makeGuarded(place);
  using target = directory;
  using undo = new DisposableStack();
  if (isMade) undo.defer(() => removeAt(place));
  mount(source, pathOf(target), call);
  undo.defer(() => void unmountAt(place));
  return undo.move();
}

/**
 * Detaches what is mounted on it, the last mounted first, with all that is mounted below.
 *
 * @returns Whether there was anything; there need not even be such a directory.
 */
export function unmountAt(place: GuardedPath): boolean {
  // The name itself, and no link in its place.
  return atName(place, (parent, name) => detachOne(`${pathOf(parent)}/${name}`)) ?? false;
}

/** Removes the directory if it is empty. @throws {ErrnoError} ENOTEMPTY, EBUSY */
function removeAt(place: GuardedPath): void {
  atName(place, (parent, name) => rmdirAt(parent, rawName(name)));
}

function atName<T>(place: GuardedPath, use: (parent: Fd, name: string) => T): T | undefined {
  const [above, name] = splitLast(place);
  try {
    using parent = openGuarded(above);
    return use(parent, name);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
