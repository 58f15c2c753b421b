/**
 * The mount table of a process. All but {@linkcode readMountInfo} and {@linkcode mountIdOf} is pure.
 *
 * @see https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
 * @module
 */

/** The mount that an open file is on, by its number in the mount table. */
export function mountIdOf(fd: { readonly number: number }): number {
  return Number(/^mnt_id:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/self/fdinfo/${fd.number}`))?.[1]);
}

/** One line of `/proc/PID/mountinfo`. */
export interface MountInfo {
  id: number;
  parentId: number;
  /** Device of the file system. */
  major: number;
  minor: number;
  /** The part of the file system that is mounted: `/`, or the source of a bind mount within it. */
  root: string;
  mountPoint: string;
  /** Options of this mount: `rw`, `nosuid`, `relatime`… */
  options: string[];
  /** Peer group of a shared mount. */
  shared?: number;
  /** Peer group that a slave mount receives from. */
  master?: number;
  propagateFrom?: number;
  unbindable: boolean;
  /** File system type, with its subtype if it has one: `ext4`, `fuse.sshfs`. */
  type: string;
  source: string;
  /** Options of the file system, shared by all its mounts. */
  superOptions: string[];
}

/**
 * Parses a whole mount table, in the kernel's order: a later mount on the same point hides an earlier one.
 *
 * @throws {SyntaxError} A line lacks fields.
 */
export function parseMountInfo(text: string): MountInfo[] {
  return text.split("\n").filter((line) => line !== "").map(parseLine);
}

function parseLine(line: string): MountInfo {
  const fields = line.split(" ");
  const separator = fields.indexOf("-", 6);
  const [id, parentId, device = "", root, mountPoint, options] = fields;
  const [type, source, superOptions = ""] = fields.slice(separator + 1);
  const [major, minor] = device.split(":").map(Number);
  if (separator === -1 || type === undefined || source === undefined || minor === undefined) {
    throw new SyntaxError(`Cannot parse mount table line "${line}"`);
  }
  return {
    id: Number(id),
    parentId: Number(parentId),
    major: Number(major),
    minor,
    root: unescapeMountField(root!),
    mountPoint: unescapeMountField(mountPoint!),
    options: options!.split(","),
    ...parseTags(fields.slice(6, separator)),
    type: unescapeMountField(type),
    source: unescapeMountField(source),
    superOptions: superOptions.split(",").filter((option) => option !== ""),
  };
}

/** Optional fields of a line that name a peer group. */
const PEER_GROUPS: Readonly<Record<string, "shared" | "master" | "propagateFrom">> = {
  shared: "shared",
  master: "master",
  propagate_from: "propagateFrom",
};

function parseTags(tags: string[]): Pick<MountInfo, "shared" | "master" | "propagateFrom" | "unbindable"> {
  const parsed: ReturnType<typeof parseTags> = { unbindable: tags.includes("unbindable") };
  for (const tag of tags) {
    const [name, group] = tag.split(":", 2);
    const key = PEER_GROUPS[name!];
    if (key !== undefined) parsed[key] = Number(group);
  }
  return parsed;
}

/** Undoes the kernel's octal escapes of space, tab, newline and backslash; the bytes are UTF-8 already. */
export function unescapeMountField(field: string): string {
  if (!field.includes("\\")) return field; // a table of a node has thousands of fields
  return field.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** Reads and parses a mount table. @param path The table of another process is at `/proc/PID/mountinfo`. */
export function readMountInfo(path = "/proc/self/mountinfo"): MountInfo[] {
  return parseMountInfo(Deno.readTextFileSync(path));
}

/** Whether something may be mounted below `path`: without parsing the table, as a node has hundreds of mounts. */
export function mayHoldMounts(path: string): boolean {
  const isEscaped = /[ \t\n\\]/.test(path);
  return isEscaped || Deno.readTextFileSync("/proc/self/mountinfo").includes(` ${path === "/" ? "" : path}/`);
}

/** The mount that answers for `path` (absolute, without symbolic links): the deepest, and of equals the last. */
export function findMount(mounts: readonly MountInfo[], path: string): MountInfo | undefined {
  let found: MountInfo | undefined;
  for (const mount of mounts) {
    if (!isBelow(path, mount.mountPoint)) continue;
    if (found === undefined || mount.mountPoint.length >= found.mountPoint.length) found = mount;
  }
  return found;
}

/** Mounts at or below `path`, in the order in which they can be unmounted: the last mounted first. */
export function mountsBelow(mounts: readonly MountInfo[], path: string): MountInfo[] {
  return mounts.filter((mount) => isBelow(mount.mountPoint, path)).reverse();
}

/** Mount points at or below `path` that are in no other mount at or below it, each of them once. */
export function outermostBelow(mounts: readonly MountInfo[], path: string): string[] {
  const below = mountsBelow(mounts, path);
  const ids = new Set(below.map(({ id }) => id));
  return [...new Set(below.filter(({ parentId }) => !ids.has(parentId)).map(({ mountPoint }) => mountPoint))];
}

/** Whether something is mounted exactly at `path`. */
export function isMountPoint(mounts: readonly MountInfo[], path: string): boolean {
  return mounts.some((mount) => mount.mountPoint === path);
}

function isBelow(path: string, ancestor: string): boolean {
  return ancestor === "/" || path === ancestor || path.startsWith(`${ancestor}/`);
}
