/** Counts after each round: of the machine, and of one process. @module */
import { FILE_SYSTEM_MAGIC, statfs } from "../src/linux/fs/statfs.ts";
import { list, ownPids } from "../tests/interop/host.ts";
import type { Figure } from "./soak_trend.ts";

/** A thing that is left behind once in twenty rounds is a leak; two may be on their way. */
const THINGS = { perRound: 0.05, slack: 2 };
/** Where sandboxes, containers and their clients have files. */
const PLACES = ["/run", "/var/lib/cni"];
/** Where files are memory. */
const IN_MEMORY = ["/run"];
const NAMESPACES = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/** Of the machine, as far as this mount namespace and this pid namespace show it. */
export function machineFigures(): Record<string, Figure> {
  const pids = ownPids();
  const counts = {
    processes: pids.length,
    mounts: lines("/proc/self/mountinfo").length,
    namespaces: namespaces(pids).size,
    cgroups: directoriesBelow("/sys/fs/cgroup"),
    links: list("/sys/class/net").length,
    files: PLACES.reduce((sum, place) => sum + filesBelow(place), list("/tmp").length),
    "sockets that listen": lines("/proc/net/unix").filter((line) => line.includes(" 00010000 ")).length,
  };
  const figures = Object.entries(counts).map(([name, value]) => [name, { value, bound: THINGS }] as const);
  const inMemory = IN_MEMORY.filter((path) => statfs(path).magic === FILE_SYSTEM_MAGIC.tmpfs);
  const memory = Object.fromEntries(inMemory.map((path) => [`KiB in ${path}`, usedKib(path)]));
  return { ...Object.fromEntries(figures), ...memory };
}

/** Of one process. @param bound Of its private memory, in KiB; without one that is not looked at. */
export function processFigures(name: string, pid: number, bound?: Figure["bound"]): Record<string, Figure> {
  return {
    [`descriptors of ${name}`]: { value: list(`/proc/${pid}/fd`).length, bound: THINGS },
    [`threads of ${name}`]: { value: list(`/proc/${pid}/task`).length, bound: { ...THINGS, slack: 4 } },
    ...(bound && { [`KiB of ${name}, private`]: { value: privateKib(pid), bound, leastOf: 5 } }),
  };
}

function privateKib(pid: number): number {
  return Number(/^Private_Dirty: +(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`))?.[1]);
}

function usedKib(path: string): Figure {
  const { blocks, freeBlocks, blockSize } = statfs(path);
  return { value: (blocks - freeBlocks) * blockSize / 1024, bound: { perRound: 1, slack: 128 } };
}

/** Of the processes, and those that a mount keeps without any. */
function namespaces(pids: readonly number[]): ReadonlySet<string> {
  const ofProcesses = pids.flatMap((pid) => NAMESPACES.flatMap((kind) => linkTo(`/proc/${pid}/ns/${kind}`)));
  const ofMounts = lines("/proc/self/mountinfo").flatMap((line) => / (\w+:\[\d+\]) /.exec(line)?.[1] ?? []);
  return new Set([...ofProcesses, ...ofMounts]);
}

function linkTo(path: string): readonly string[] {
  try {
    return [Deno.readLinkSync(path)];
  } catch {
    return []; // it has ended
  }
}

function directoriesBelow(path: string): number {
  return entries(path).filter(({ isDirectory }) => isDirectory)
    .reduce((sum, { name }) => sum + 1 + directoriesBelow(`${path}/${name}`), 0);
}

/** But not in what is mounted there: that comes and goes with its mount. */
function filesBelow(path: string, device = deviceOf(path)): number {
  if (device === undefined || deviceOf(path) !== device) return 0;
  return entries(path).reduce((sum, { name, isDirectory }) => {
    return sum + 1 + (isDirectory ? filesBelow(`${path}/${name}`, device) : 0);
  }, 0);
}

function deviceOf(path: string): number | undefined {
  try {
    return Deno.lstatSync(path).dev;
  } catch {
    return undefined; // it went away
  }
}

function entries(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch {
    return []; // it went away
  }
}

function lines(path: string): string[] {
  return Deno.readTextFileSync(path).trim().split("\n");
}
