/**
 * The groups below a cgroup. A container that may make some makes them as deep as it likes, deeper than a path is long, and
 * gives them names that are no text; what is in them is found and ended all the same.
 *
 * @module
 */
import { listEntries, type RawName, rmdirAt } from "../fs/directory.ts";
import { isErrno } from "../ffi/errno.ts";
import { Fd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../io/fd.ts";
import { openInRoot, RESOLVE } from "../fs/in_root.ts";

/** Callbacks for each group; the groups below it are visited between `enter` and `leave`. */
export interface CgroupVisitor {
  enter?(group: Fd): void;
  /** @param name Of the group, in the one above it. */
  leave?(above: Fd, name: RawName): void;
}

/** Visits all groups below `path`, with one descriptor for all levels. Groups that vanish meanwhile are passed over. */
export function visitCgroups(path: string, { enter, leave }: CgroupVisitor): void {
  const top = ifThere(() => Fd.open(path, DIRECTORY));
  if (top === undefined) return;
  using position = new Position(top);
  // From the top to where we are: the name of each group, and those of the groups in it that are still to come.
  const levels: { name?: RawName; rest: RawName[] }[] = [{ rest: namesIn(top) }];
  for (let level; (level = levels.at(-1)) !== undefined;) {
    const next = level.rest.pop();
    if (next !== undefined) {
      if (!position.goDown(next)) continue;
      enter?.(position.group);
      levels.push({ name: next, rest: namesIn(position.group) });
    } else {
      levels.pop();
      if (level.name === undefined) return;
      position.goUp();
      leave?.(position.group, level.name);
    }
  }
}

/** The group where we are. */
class Position implements Disposable {
  #group: Fd;

  /** @param group Taken over. */
  constructor(group: Fd) {
    this.#group = group;
  }

  get group(): Fd {
    return this.#group;
  }

  /** @returns Whether there is such a group. */
  goDown(name: RawName): boolean {
    const below = ifThere(() => openInRoot(this.#group, name, { flags: DIRECTORY, resolve: RESOLVE.NO_SYMLINKS }));
    if (below !== undefined) this.#goTo(below);
    return below !== undefined;
  }

  /** No group ever goes into another one: what is above stays above. */
  goUp(): void {
    this.#goTo(Fd.openAt(this.#group, "..", { flags: DIRECTORY }));
  }

  #goTo(group: Fd): void {
    using _left = this.#group;
    this.#group = group;
  }

  [Symbol.dispose](): void {
    this.#group[Symbol.dispose]();
  }
}

/** Removes all groups below `path`. @throws {ErrnoError} EBUSY: there are processes in one. */
export function removeCgroupsBelow(path: string): void {
  visitCgroups(path, { leave: (above, name) => void ifThere(() => rmdirAt(above, name)) });
}

const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

function namesIn(group: Fd): RawName[] {
  const entries = ifThere(() => [...listEntries(group)]) ?? [];
  return entries.filter(({ kind }) => kind === "directory").map(({ name }) => name);
}

function ifThere<T>(use: () => T): T | undefined {
  try {
    return use();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return undefined;
    throw error;
  }
}
