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

/** What to do with each group; those below it come in between. */
export interface CgroupVisitor {
  enter?(group: Fd): void;
  /** @param name Of the group, in the one above it. */
  leave?(above: Fd, name: RawName): void;
}

/** Goes through all groups below `path`, with one descriptor for all levels. What vanishes meanwhile is passed over. */
export function visitCgroups(path: string, { enter, leave }: CgroupVisitor): void {
  let current = ifThere(() => Fd.open(path, DIRECTORY));
  if (current === undefined) return;
  const levels: { name: RawName; siblings: RawName[] }[] = [];
  try {
    for (let names = namesIn(current);;) {
      const name = names.pop();
      const level = name === undefined ? levels.pop() : { name, siblings: names };
      if (level === undefined) return;
      using before: Fd = current;
      const next: Fd | undefined = name === undefined ? openAbove(before) : openBelow(before, name);
      current = next ?? before.dup();
      if (name === undefined) {
        leave?.(current, level.name);
        names = level.siblings;
      } else if (next !== undefined) {
        levels.push(level);
        enter?.(next);
        names = namesIn(next);
      }
    }
  } finally {
    current[Symbol.dispose]();
  }
}

/** Removes all groups below `path`. @throws {ErrnoError} EBUSY: there are processes in one. */
export function removeCgroupsBelow(path: string): void {
  visitCgroups(path, { leave: (above, name) => void ifThere(() => rmdirAt(above, name)) });
}

const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** No group ever goes into another one: what is above stays above. */
function openAbove(group: Fd): Fd {
  return Fd.openAt(group, "..", { flags: DIRECTORY });
}

function openBelow(group: Fd, name: RawName): Fd | undefined {
  return ifThere(() => openInRoot(group, name, { flags: DIRECTORY, resolve: RESOLVE.NO_SYMLINKS }));
}

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
