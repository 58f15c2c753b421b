/**
 * Attributes that the kernel keeps per process, and its files in `/proc`.
 *
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { bind, check } from "../ffi/libc.ts";
import { syscallNumber } from "../child_program/syscall_numbers.ts";

const libc = bind({
  prctl: { parameters: ["i32", /* option */ "u64", "u64", "u64", "u64"], result: "i32" },
  prlimit64: {
    parameters: ["i32", /* pid */ "i32", /* resource */ "buffer", /* new */ "buffer" /* old */],
    result: "i32",
  },
  schedSetattr: { name: "syscall", parameters: ["i64", "i32", /* pid */ "buffer", /* attr */ "u32"], result: "i64" },
});

const PR_SET_DUMPABLE = 4;

/**
 * Keeps other processes of our user out of our memory and descriptors.
 */
export function forbidInspection(): void {
  check("prctl", () => libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE");
}

/**
 * How soon the kernel kills a process for want of memory, -1000 (never) to 1000.
 *
 * A child that shares our memory, started without `vfork` and not executed yet, shares this value with us as well.
 */
export function setOomScoreAdj(value: number, pid: number | "self" = "self"): void {
  Deno.writeTextFileSync(`/proc/${pid}/oom_score_adj`, `${value}`);
}

export function getOomScoreAdj(pid: number | "self" = "self"): number {
  return Number(Deno.readTextFileSync(`/proc/${pid}/oom_score_adj`));
}

/**
 * Limits a resource of another process. Raising a hard limit takes CAP_SYS_RESOURCE of the first user namespace.
 *
 * @param limit `RLIMIT_*` by number, and struct rlimit64: soft, then hard.
 * @see https://man7.org/linux/man-pages/man2/prlimit.2.html
 */
export function setRlimit(
  pid: number,
  limit: { name: string; resource: number; limits: Uint8Array<ArrayBuffer> },
): void {
  check("prlimit64", () => libc.prlimit64(pid, limit.resource, limit.limits, null), limit.name);
}

/**
 * Sets policy and priority of another process.
 *
 * @param attributes `struct sched_attr`.
 * @throws {ErrnoError} EPERM: we have not the right, or its cgroup has no share of real time.
 * @see https://man7.org/linux/man-pages/man2/sched_setattr.2.html
 */
export function setScheduler(pid: number, attributes: Uint8Array<ArrayBuffer>): void {
  const set = () => libc.schedSetattr(syscallNumber("sched_setattr"), pid, attributes, 0);
  check("sched_setattr", set, "set scheduler");
}

/** How many descriptors we may have, by the soft limit: their numbers are below that. */
export function openFilesLimit(): number {
  const RLIMIT_NOFILE = 7;
  const limits = new BigUint64Array(2);
  check("prlimit64", () => libc.prlimit64(0, RLIMIT_NOFILE, null, limits), "RLIMIT_NOFILE");
  return Number(limits[0]);
}

/** A row of `/proc/PID/stat`. */
export interface ProcessStat {
  pid: number;
  /** Name of the executable, cut to 15 bytes; it may hold anything, spaces and parentheses too. */
  comm: string;
  /** `R` running, `S` sleeping, `D` waiting for a disk, `Z` ended but not reaped, `T` stopped, … */
  state: string;
  parent: number;
  processGroup: number;
  session: number;
  /** Number of threads that have not ended yet. */
  threads: number;
  /** Clock ticks (a hundred a second) since boot. With the pid it names a process for ever. */
  startTime: bigint;
}

/** @returns undefined if there is no such process. */
export function readProcessStat(pid: number | "self", proc = "/proc"): ProcessStat | undefined {
  try {
    return parseProcessStat(Deno.readTextFileSync(`${proc}/${pid}/stat`));
  } catch (error) {
    // ESRCH: it ended between open and read.
    if (isErrno(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
}

/** Whether a process runs: one that has ended keeps its row until it is reaped. */
export function isAlive(stat: ProcessStat | undefined): stat is ProcessStat {
  return stat !== undefined && !"ZX".includes(stat.state);
}

/** @throws {SyntaxError} It is no row of a stat file. */
export function parseProcessStat(text: string): ProcessStat {
  const open = text.indexOf("(");
  // The name may hold a parenthesis, what follows it does not.
  const close = text.lastIndexOf(")");
  const fields = text.slice(close + 2).trim().split(" ");
  const [state, parent, processGroup, session] = fields;
  const startTime = fields[19];
  if (open < 0 || close < open || state === undefined || startTime === undefined || !/^\d+$/.test(startTime)) {
    throw new SyntaxError(`Cannot parse process status "${text.slice(0, 100)}"`);
  }
  return {
    pid: Number(text.slice(0, open)),
    comm: text.slice(open + 1, close),
    state,
    parent: Number(parent),
    processGroup: Number(processGroup),
    session: Number(session),
    threads: Number(fields[17]),
    startTime: BigInt(startTime),
  };
}
