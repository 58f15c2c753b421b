/**
 * A place of its own for a target whose code mounts, makes containers or opens what it is told to: namespaces of its own, a
 * read-only root, empty /run and /tmp, and groups below one that goes with the box.
 *
 * @module
 */
import { createCgroup, detectCgroups } from "../../../src/linux/cgroup.ts";
import { isErrno } from "../../../src/linux/errno.ts";

/** Arguments: how many groups, their hierarchies' mount points, the name of the group in each, and the command. */
const SCRIPT = `set -e
count=$1; shift
while [ $count -gt 0 ]; do mount --bind "$1/$2" "$1"; shift 2; count=$((count - 1)); done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -o remount,bind,ro /
set +e
"$@"
exit $?`;

const NAMESPACES = ["--mount", "--propagation", "private", "--pid", "--net", "--ipc", "--uts", "--cgroup"];

/** Disposing it removes its groups. */
export interface BoxedCommand extends Disposable {
  command: string;
  args: readonly string[];
}

/** The command line that runs `words` in a box. Needs root. */
export function boxed(words: readonly string[]): BoxedCommand {
  const missing = missingForBox();
  if (missing !== undefined) throw new Error(`Cannot run in a box: ${missing}`);
  const name = `kata-fuzz-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
  const { mode, root, unified, v1 } = detectCgroups();
  const hierarchies = mode === "v2" ? [root] : [...new Set(v1.values()), ...(unified === undefined ? [] : [unified])];
  for (const hierarchy of hierarchies) createCgroup(`${hierarchy}/${name}`);
  const groups = hierarchies.flatMap((hierarchy) => [hierarchy, name]);
  return {
    command: "unshare",
    args: [
      ...NAMESPACES,
      "--fork",
      "--kill-child",
      "--mount-proc",
      "sh",
      "-c",
      SCRIPT,
      "sh",
      `${hierarchies.length}`,
      ...groups,
      ...words,
    ],
    [Symbol.dispose]: () => hierarchies.forEach((hierarchy) => removeGroups(`${hierarchy}/${name}`)),
  };
}

/**
 * Why there can be no box; undefined if there can. There is none now: a request that remounts the root makes it writable
 * again, file system and all, and what is removed in the box is then gone on the machine.
 */
export function missingForBox(): string | undefined {
  return "the box does not hold what is in it: its read-only root can be remounted";
}

function removeGroups(group: string): void {
  for (const { name, isDirectory } of list(group)) if (isDirectory) removeGroups(`${group}/${name}`);
  try {
    Deno.removeSync(group);
  } catch (error) {
    // One that is busy still stays: its processes were ended with their namespace.
    if (!isErrno(error, "ENOENT", "EBUSY")) throw error;
  }
}

function list(directory: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(directory)];
  } catch {
    return [];
  }
}
