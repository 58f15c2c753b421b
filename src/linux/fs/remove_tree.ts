/**
 * Removing a tree that somebody else has filled: with as many descriptors for a deep one as for a flat one, never through
 * a link, and never out of the file system that it is in.
 *
 * @module
 */
import { listEntries, type RawEntry, type RawName, rawName, rmdirAt, unlinkAt } from "./directory.ts";
import { fileIdentity } from "./identity.ts";
import { isErrno } from "../ffi/errno.ts";
import { Fd, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY } from "../io/fd.ts";
import { openInRoot, RESOLVE } from "./in_root.ts";

/** Of a directory into which somebody writes meanwhile. */
const MAX_PASSES = 16;

/** A directory on the way down. */
interface Level {
  name: RawName;
  /** By which it is known again on the way up. */
  identity: string;
  /** Directories in it that are still there. */
  pending: RawName[];
  passes: number;
}

/**
 * Removes the file or directory `name` with all below it. A name that is not there is no error (B38).
 *
 * An entry that cannot be removed stays, and all others are removed nevertheless. Nothing inside a mount is removed.
 *
 * @param name One component.
 * @throws {Error} How much stays, the first reason as its cause.
 */
export function removeTree(parent: Fd, name: string): void {
  const failures = new Failures(name);
  const raw = rawName(name);
  if (!removeEntry(parent, { name: raw, kind: "unknown" }, failures)) new Walk(parent, failures).remove(raw);
  failures.check();
}

/** {@linkcode removeTree} by an absolute path, to whose directory nobody else may write. */
export function removePath(path: string): void {
  const slash = path.lastIndexOf("/");
  using parent = openIfThere(path.slice(0, slash) || "/");
  if (parent !== undefined) removeTree(parent, path.slice(slash + 1));
}

function openIfThere(path: string): Fd | undefined {
  try {
    return Fd.open(path, O_PATH | O_DIRECTORY);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

class Failures {
  readonly #name: string;
  #first: unknown;
  count = 0;

  constructor(name: string) {
    this.#name = name;
  }

  add(error: unknown): void {
    this.#first ??= error;
    this.count++;
  }

  check(): void {
    if (this.count === 0) return;
    const what = this.count === 1 ? "1 entry stays" : `${this.count} entries stay`;
    throw new Error(`Cannot remove all of "${this.#name}": ${what}`, { cause: this.#first });
  }
}

/**
 * Removes what is no directory, or an empty one.
 *
 * @returns False for a directory that is not empty; else nothing is left to do about it.
 */
function removeEntry(directory: Fd, { name, kind }: RawEntry, failures: Failures): boolean {
  const [first, second] = kind === "directory" ? [rmdirAt, unlinkAt] : [unlinkAt, rmdirAt];
  try {
    try {
      first(directory, name);
    } catch (error) {
      // POSIX has EPERM where Linux says EISDIR. It may also be something else than it was when it was listed.
      if (!isErrno(error, "EISDIR", "EPERM", "ENOTDIR")) throw error;
      second(directory, name);
    }
  } catch (error) {
    if (isErrno(error, "ENOTEMPTY", "EEXIST")) return false;
    if (!isErrno(error, "ENOENT")) failures.add(error);
  }
  return true;
}

/** Goes down and up with one descriptor, which stands for the last of the levels. */
class Walk {
  readonly #parent: Fd;
  readonly #failures: Failures;
  readonly #levels: Level[] = [];

  constructor(parent: Fd, failures: Failures) {
    this.#parent = parent;
    this.#failures = failures;
  }

  remove(name: RawName): void {
    let current = this.#enter(this.#parent, name);
    try {
      while (current !== undefined) {
        const child = this.#levels.at(-1)!.pending.pop();
        const next: Fd | undefined = child === undefined ? this.#leave(current) : this.#enter(current, child);
        if (next === undefined && child !== undefined) continue;
        if (next !== current) current[Symbol.dispose]();
        current = next;
      }
    } finally {
      current?.[Symbol.dispose]();
    }
  }

  /** @returns Undefined if there is no such directory, or it may not be entered. */
  #enter(directory: Fd, name: RawName): Fd | undefined {
    let child;
    try {
      const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK;
      child = openInRoot(directory, name, { flags, resolve: RESOLVE.NO_XDEV | RESOLVE.NO_SYMLINKS });
      const level = { name, identity: fileIdentity(child), pending: [], passes: 0 };
      this.#empty(child, level);
      this.#levels.push(level);
      return child;
    } catch (error) {
      child?.[Symbol.dispose]();
      if (!isErrno(error, "ENOENT")) this.#failures.add(error);
      return undefined;
    }
  }

  /** Removes all but directories that are not empty, which it notes. */
  #empty(directory: Fd, level: Level): void {
    level.passes++;
    for (const entry of listEntries(directory)) {
      if (!removeEntry(directory, entry, this.#failures)) level.pending.push(entry.name);
    }
  }

  /** @returns The directory above; the same once more if something came into it; undefined at the end. */
  #leave(current: Fd): Fd | undefined {
    const level = this.#levels.at(-1)!;
    using above = this.#above(current);
    try {
      rmdirAt(above ?? this.#parent, level.name);
    } catch (error) {
      if (isErrno(error, "ENOTEMPTY", "EEXIST") && this.#failures.count === 0 && level.passes < MAX_PASSES) {
        this.#empty(current, level);
        return current;
      }
      // An entry that stays in the directory has been counted as a failure already.
      const isKnown = isErrno(error, "ENOENT") || (isErrno(error, "ENOTEMPTY") && this.#failures.count > 0);
      if (!isKnown) this.#failures.add(error);
    }
    this.#levels.pop();
    return above === undefined ? undefined : new Fd(above.release());
  }

  /** The directory above, which was opened on the way down. @returns Undefined for the one that the caller has. */
  #above(current: Fd): Fd | undefined {
    const expected = this.#levels.at(-2);
    if (expected === undefined) return undefined;
    using above = Fd.openAt(current, "..", { flags: O_RDONLY | O_DIRECTORY });
    if (fileIdentity(above) === expected.identity) return new Fd(above.release());
    throw new Error("Cannot go on with the removal: a directory of it was moved elsewhere");
  }
}
