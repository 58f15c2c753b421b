/**
 * Control groups: where the hierarchies are, making and removing groups, and who is in them. Every path is a value, so a
 * temp dir serves as a cgroup file system in tests.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/cgroups.html
 * @module
 */
import { type Clock, systemClock } from "../../base/clock.ts";
import { exists } from "../../base/files.ts";
import { hasCgroupFile, readCgroupFile, writeCgroupFile } from "./file.ts";
import { removeCgroupsBelow, visitCgroups } from "./tree.ts";
import { isErrno } from "../ffi/errno.ts";
import { pathOf } from "../io/fd.ts";
import { bind, check, cstring } from "../ffi/libc.ts";

const libc = bind({ rmdir: { parameters: ["buffer" /* path */], result: "i32" } });

/** `hybrid`: the controllers are on v1, and a v2 hierarchy stands beside them. */
export type CgroupMode = "v1" | "v2" | "hybrid";

/** The hierarchies of a machine. */
export interface CgroupLayout {
  mode: CgroupMode;
  /** Where the hierarchies are mounted, such as `/sys/fs/cgroup`. */
  root: string;
  /** The mount point of the v2 hierarchy; undefined for `v1`. */
  unified: string | undefined;
  /** The directory of each v1 controller, and of the named hierarchy `systemd`; empty for `v2`. */
  v1: ReadonlyMap<string, string>;
  /** Controllers that the v2 hierarchy can give. */
  unifiedControllers: ReadonlySet<string>;
}

/**
 * Looks at what lies below `root`.
 *
 * @throws {Error} No hierarchy is mounted there.
 */
export function detectCgroups(root = "/sys/fs/cgroup"): CgroupLayout {
  const whole = controllers(root);
  if (whole !== undefined) return { mode: "v2", root, unified: root, v1: new Map(), unifiedControllers: whole };
  const v1 = findV1Hierarchies(root);
  const beside = controllers(`${root}/unified`);
  if (v1.size === 0) throw new Error(`Cannot find cgroups below "${root}"`);
  if (beside === undefined) return { mode: "v1", root, unified: undefined, v1, unifiedControllers: new Set() };
  return { mode: "hybrid", root, unified: `${root}/unified`, v1, unifiedControllers: beside };
}

function controllers(cgroup: string): Set<string> | undefined {
  const text = hasCgroupFile(cgroup, "cgroup.controllers") ? readCgroupFile(cgroup, "cgroup.controllers") : undefined;
  return text === undefined ? undefined : new Set(text.split(" ").filter((name) => name !== ""));
}

/** A directory is named after its controllers (`cpu,cpuacct`), and links lead from each name to it. */
function findV1Hierarchies(root: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name } of childDirectories(root)) {
    // A look, as the file of a whole machine is long.
    if (name === "unified" || !hasCgroupFile(`${root}/${name}`, "cgroup.procs")) continue;
    for (const controller of name.split(",")) found.set(controller, `${root}/${name}`);
  }
  return found;
}

/** One line of `/proc/PID/cgroup`. */
export interface CgroupMembership {
  /** 0 for v2. */
  hierarchy: number;
  /** Empty for v2; a named hierarchy is `name=systemd`. */
  controllers: string[];
  /** Below the hierarchy's mount, as the reader's cgroup namespace shows it. */
  path: string;
}

/** Parses `/proc/PID/cgroup`. */
export function parseCgroupMembership(text: string): CgroupMembership[] {
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const [hierarchy, names = "", ...path] = line.split(":");
    return {
      hierarchy: Number(hierarchy),
      controllers: names.split(",").filter((name) => name !== ""),
      path: path.join(":"),
    };
  });
}

/**
 * Makes a cgroup and its ancestors. On v1, a `cpuset` without CPUs or memory nodes gets those of its parent, whoever made
 * it: it is born without, as `mkdir` leaves it, and another may have made it in this moment.
 *
 * @param options `cpuset`: false if it is known to be no cpuset, which saves a look.
 */
export function createCgroup(path: string, options: { cpuset?: boolean } = {}): void {
  try {
    Deno.mkdirSync(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) {
      createCgroup(parentOf(path), options);
      return createCgroup(path, options);
    }
    if (!isErrno(error, "EEXIST")) throw new Error(`Cannot create cgroup "${path}"`, { cause: error });
  }
  if (options.cpuset !== false) fillCpuset(path);
}

/** An empty v1 cpuset accepts no process, and cannot have what its parent has not. */
function fillCpuset(path: string): void {
  if (!hasCgroupFile(path, "cpuset.cpus")) return;
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    // v2 has the `.effective` files and needs no values of its own.
    if (readCgroupFile(path, file) !== "" || readCgroupFile(path, `${file}.effective`) !== undefined) continue;
    const parent = parentOf(path);
    if (readCgroupFile(parent, file) === "") fillCpuset(parent);
    const inherited = readCgroupFile(parent, file);
    if (inherited) writeCgroupFile(path, file, inherited);
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  if (slash <= 0) throw new Error(`Cannot create cgroup "${path}": no hierarchy above it`);
  return path.slice(0, slash);
}

/** Waiting for a cgroup to become empty. */
export interface CgroupWait {
  signal?: AbortSignal;
  clock?: Clock;
}

/** Removes a cgroup that nothing is in. @returns Whether it is gone, as it may have been before. */
export function removeEmptyCgroup(path: string): boolean {
  try {
    removeDirectory(path);
    return true;
  } catch (error) {
    if (isErrno(error, "EBUSY")) return false;
    throw new Error(`Cannot remove cgroup "${path}"`, { cause: error });
  }
}

/** Between tries. The first is short: an exit is seen in the cgroup only a little later than by the parent. */
const REMOVAL_PAUSE_MS = { first: 20, longest: 160 };

export interface CgroupRemoval extends CgroupWait {
  /** How long those in it may take to leave. @default 300 */
  patienceMs?: number;
}

/** Removes a cgroup and the groups below it, if they are there. @throws {Error} It still has processes. */
export async function removeCgroup(path: string, options: CgroupRemoval = {}): Promise<void> {
  const { signal, clock = systemClock, patienceMs = 300 } = options;
  let pauseMs = REMOVAL_PAUSE_MS.first;
  for (let waitedMs = 0;; waitedMs += pauseMs, pauseMs = Math.min(2 * pauseMs, REMOVAL_PAUSE_MS.longest)) {
    try {
      removeCgroupsBelow(path);
      return removeDirectory(path);
    } catch (cause) {
      if (!isErrno(cause, "EBUSY") || waitedMs >= patienceMs) {
        throw new Error(`Cannot remove cgroup "${path}"`, { cause });
      }
      await clock.sleep(pauseMs, signal);
    }
  }
}

/** Removes cgroups, each with those below it, but for those that somebody is in. @returns These. */
export async function removeUnusedCgroups(paths: readonly string[], options: CgroupRemoval = {}): Promise<string[]> {
  const used: string[] = [];
  for (const path of paths) {
    if (removeEmptyCgroup(path)) continue;
    if (cgroupMembers(path, { recursive: true }).length > 0) used.push(path);
    else await removeCgroup(path, options);
  }
  return used;
}

/** rmdir(2): the files of a cgroup go with it, they cannot be removed one by one. */
function removeDirectory(path: string): void {
  const name = cstring(path);
  try {
    check("rmdir", () => libc.rmdir(name), path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

/** Selects the members to list: those of the group itself, or of all groups below it as well. */
export interface MemberOptions {
  recursive?: boolean;
  /** Threads (`cgroup.threads`, or `tasks` on v1) instead of processes. */
  threads?: boolean;
}

/** Process ids in a cgroup; empty if it is gone. Ids that this pid namespace cannot see are left out. */
export function cgroupMembers(path: string, options: MemberOptions = {}): number[] {
  const text = options.threads
    ? readCgroupFile(path, "cgroup.threads") ?? readCgroupFile(path, "tasks")
    : readProcesses(path);
  const members = (text ?? "").split("\n").map(Number).filter((id) => id > 0);
  if (!options.recursive) return members;
  const all = new Set(members);
  visitCgroups(path, {
    enter: (group) => cgroupMembers(pathOf(group), { ...options, recursive: false }).forEach((id) => all.add(id)),
  });
  return [...all];
}

/** A threaded v2 cgroup refuses: its processes are members of the domain above it. */
function readProcesses(path: string): string | undefined {
  try {
    return readCgroupFile(path, "cgroup.procs");
  } catch (error) {
    if (isErrno(error, "EOPNOTSUPP")) return undefined;
    throw error;
  }
}

/**
 * Moves a process with all its threads into a cgroup; 0 is the caller.
 *
 * @throws {Error} Its cause is EBUSY on v2 if the cgroup enables controllers for its children.
 */
export function joinCgroup(path: string, pid: number): void {
  writeCgroupFile(path, "cgroup.procs", pid);
}

/** How a child gets into a cgroup of each hierarchy. */
export interface CgroupJoinTarget {
  /** Directory of version 2 in which clone3 puts the child: a later move takes the kernel some ten milliseconds. */
  cloneInto: string | undefined;
  /** Files to write "0" into, once it is there. */
  files: readonly string[];
}

/** @param files One a hierarchy: `cgroup.procs` of version 2, `tasks` of version 1. */
export function cgroupJoinTarget(files: readonly string[]): CgroupJoinTarget {
  const unified = files.find((file) => file.endsWith(PROCS_FILE));
  return { cloneInto: unified?.slice(0, -PROCS_FILE.length), files: files.filter((file) => file !== unified) };
}

const PROCS_FILE = "/cgroup.procs";

/** Moves one thread: by `tasks` on v1; on v2 the cgroup must be threaded and in the subtree of the process. */
export function joinCgroupThread(path: string, tid: number): void {
  const isV1 = readCgroupFile(path, "tasks") !== undefined;
  writeCgroupFile(path, isV1 ? "tasks" : "cgroup.threads", tid);
}

/** Moves whole processes, never threads (B4), to another cgroup of the hierarchy; passes over those that have ended. */
export function moveMembers(from: string, to: string): void {
  for (const pid of cgroupMembers(from)) {
    try {
      joinCgroup(to, pid);
    } catch (error) {
      if (!isErrno((error as Error).cause, "ESRCH")) throw error;
    }
  }
}

function childDirectories(path: string): Deno.DirEntry[] {
  return exists(path) ? [...Deno.readDirSync(path)].filter(({ isDirectory }) => isDirectory) : [];
}
