/**
 * A place of its own for a target whose code mounts, makes containers or opens what it is told to: a machine to throw away
 * (`tests/vm/fuzz_machine.ts`) or a root (`throwaway.ts`), and in it namespaces of its own, a read-only root, empty /run
 * and /tmp, and groups below one that goes with the box. The namespaces alone hold nothing: what remounts the root makes it
 * writable again, and what is removed in them is gone on the machine.
 *
 * @module
 */
import { errorChain } from "../../../src/base/error.ts";
import { createCgroup, detectCgroups } from "../../../src/linux/cgroup/cgroup.ts";
import { readCgroupFile, writeCgroupFile } from "../../../src/linux/cgroup/file.ts";
import { isErrno } from "../../../src/linux/ffi/errno.ts";
import { parseMountInfo } from "../../../src/linux/mount/mountinfo.ts";
import { missingForThrowawayRoot } from "./throwaway.ts";
import { GUARD } from "./throwaway_setup.ts";

/** Arguments: how many groups, their hierarchies' mount points, the name of the group in each, and the command. */
const SCRIPT = `set -e
count=$1; shift
while [ $count -gt 0 ]; do mount --bind "$1/$2" "$1"; shift 2; count=$((count - 1)); done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
[ ! -x ${GUARD} ] || ${GUARD} /proc
mount -o remount,bind,ro /
set +e
"$@"
exit $?`;

/** None of groups: its root would be the group that we are in, and from there nothing can be moved into the box's. */
const NAMESPACES = ["--mount", "--propagation", "private", "--pid", "--net", "--ipc", "--uts"];

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
  const hierarchies = cgroupHierarchies();
  for (const hierarchy of hierarchies) {
    enableControllers(hierarchy);
    createCgroup(`${hierarchy}/${name}`);
  }
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

/** Mount points. */
export function cgroupHierarchies(): string[] {
  const { mode, root, unified, v1 } = detectCgroups();
  return mode === "v2" ? [root] : [...new Set(v1.values()), ...(unified === undefined ? [] : [unified])];
}

/** Lets groups below a group of v2 have limits; one of v1 is what it is. */
export function enableControllers(group: string): void {
  const all = readCgroupFile(group, "cgroup.controllers")?.trim().split(" ").filter((word) => word !== "") ?? [];
  for (const controller of all) writeCgroupFile(group, "cgroup.subtree_control", `+${controller}`);
}

/** On the kernel's command line of a machine that was made to be thrown away. */
export const THROWAWAY = "kata_fuzz.throwaway_machine";

/** The files that tell of a machine. */
export interface MachineFiles {
  /** Default: `/proc`. */
  proc?: string;
  /** Default: `/sys`. */
  sys?: string;
}

/**
 * Why there can be no box; undefined if there can: in a root to throw away, or in a machine. The kernel's command line
 * says that it is one, which no host's does; and no disk can be written, and no directory comes from elsewhere. What
 * cannot be read is a reason.
 */
export function missingForBox({ proc = "/proc", sys = "/sys" }: MachineFiles = {}): string | undefined {
  const reason = "it runs in a machine to throw away alone (scripts/fuzz --vm)";
  try {
    if (!Deno.readTextFileSync(`${proc}/cmdline`).trim().split(/\s+/).includes(THROWAWAY)) {
      return missingForThrowawayRoot({ proc }) === undefined ? undefined : reason;
    }
    const mounts = parseMountInfo(Deno.readTextFileSync(`${proc}/self/mountinfo`));
    const foreign = mounts.find(({ type }) => SHARED_TYPES.some((shared) => type.startsWith(shared)));
    if (foreign !== undefined) return `${reason}, and "${foreign.mountPoint}" here is another machine's`;
    if (mounts.findLast(({ mountPoint }) => mountPoint === "/")?.type !== "overlay") {
      return `${reason}, whose root is kept in memory`;
    }
    const isWritable = (disk: string) =>
      readNumber(`${sys}/block/${disk}/size`) > 0 && readNumber(`${sys}/block/${disk}/ro`) !== 1;
    const disk = [...Deno.readDirSync(`${sys}/block`)].map(({ name }) => name).find(isWritable);
    return disk === undefined ? undefined : `${reason}, and "${disk}" here is a disk that can be written`;
  } catch (error) {
    return `${reason}, and this one cannot be told: ${errorChain(error)}`;
  }
}

const SHARED_TYPES: readonly string[] = ["virtiofs", "9p", "nfs", "cifs", "fuse"];

function readNumber(path: string): number {
  const text = Deno.readTextFileSync(path).trim();
  if (/^\d+$/.test(text)) return Number(text);
  throw new RangeError(`Cannot read "${path}": it is no number`);
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
