/** Processes and files of the machine. @module */
import { readProcessStat } from "../../src/linux/process/process.ts";

/** Processes whose command line names a program and a sandbox. */
export function processesOf(program: string, sandboxId: string): readonly number[] {
  const isOf = (line: string) => line.includes(program) && line.includes(sandboxId) && !line.includes("ctr ");
  return list("/proc").filter((pid) => commandOf(pid).some(isOf)).map(Number);
}

/** Command line of a process; nothing if it is gone. */
export function commandOf(pid: string): readonly string[] {
  try {
    return /^\d+$/.test(pid) ? [Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " ")] : [];
  } catch {
    return [];
  }
}

const INIT = 1;
/** Processes of the machine's other users, and those above this one. */
const OTHERS: ReadonlySet<number> = new Set(pids().filter((pid) => pid !== INIT && pid !== Deno.pid));

/**
 * Processes that come from this one, and those whose parents are gone, which may. What others have started beside the
 * tests is none of their business.
 */
export function ownPids(): readonly number[] {
  return pids().filter(isOwn);
}

function pids(): readonly number[] {
  return list("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
}

function isOwn(pid: number): boolean {
  for (let at: number | undefined = pid; at !== undefined; at = readProcessStat(at)?.parent) {
    if (at === Deno.pid) return true;
    if (OTHERS.has(at)) return false;
    if (at <= INIT) return true;
  }
  return false; // it has ended
}

/** Names in a directory; none if there is no such. */
export function list(path: string): readonly string[] {
  try {
    return [...Deno.readDirSync(path)].map(({ name }) => name);
  } catch {
    return [];
  }
}

/** Roots of the cgroup hierarchies: each controller's on v1; on v2 the one is the root itself. */
export function hierarchies(): string[] {
  return ["/sys/fs/cgroup", ...list("/sys/fs/cgroup").map((name) => `/sys/fs/cgroup/${name}`)];
}

/** Tells one running kernel from all others, also of the same release. */
export function bootId(): string {
  return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
}
