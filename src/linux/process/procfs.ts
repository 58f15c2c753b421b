/** The tables of procfs that the metrics are made from: text in, named numbers out. @module */

/** Name of the row of `/proc/stat` that sums all CPUs. */
export const ALL_CPUS_LABEL = "total";

type Values = Record<string, number>;

const CPU_FIELDS = [
  "user",
  "nice",
  "system",
  "idle",
  "iowait",
  "irq",
  "softirq",
  "steal",
  "guest",
  "guest_nice",
] as const;

const NETDEV_FIELDS = [
  "recv_bytes",
  "recv_packets",
  "recv_errs",
  "recv_drop",
  "recv_fifo",
  "recv_frame",
  "recv_compressed",
  "recv_multicast",
  "sent_bytes",
  "sent_packets",
  "sent_errs",
  "sent_drop",
  "sent_fifo",
  "sent_colls",
  "sent_carrier",
  "sent_compressed",
] as const;

const DISK_FIELDS = [
  "reads",
  "merged",
  "sectors_read",
  "time_reading",
  "writes",
  "writes_merged",
  "sectors_written",
  "time_writing",
  "in_progress",
  "time_in_progress",
  "weighted_time_in_progress",
  "discards",
  "discards_merged",
  "sectors_discarded",
  "time_discarding",
  "flushes",
  "time_flushing",
] as const;

/**
 * Reads `name: value` and `name value` lines such as those of meminfo, vmstat and status. Values in kB become bytes;
 * lines whose value is no number are left out.
 */
export function parseKeyValues(text: string): Values {
  const values: Values = {};
  for (const line of text.split("\n")) {
    const match = /^([\w()]+):?\s+(\d+)( kB)?$/.exec(line);
    if (match === null) continue;
    values[match[1]!.replace(/\((\w+)\)/, "_$1")] = Number(match[2]) * (match[3] === undefined ? 1 : 1024);
  }
  return values;
}

/** Clock ticks by CPU (`0`, `1`, … and {@linkcode ALL_CPUS_LABEL}) and kind. */
export function parseCpuTimes(text: string): Record<string, Values> {
  const rows: Record<string, Values> = {};
  for (const [, cpu, values] of text.matchAll(/^cpu(\d*) +(.*)$/gm)) {
    rows[cpu === "" ? ALL_CPUS_LABEL : cpu!] = named(CPU_FIELDS, values!);
  }
  return rows;
}

/** Counters by interface of `/proc/net/dev`. */
export function parseNetDev(text: string): Record<string, Values> {
  const rows: Record<string, Values> = {};
  for (const [, name, values] of text.matchAll(/^ *([^:\s]+): *(.*)$/gm)) rows[name!] = named(NETDEV_FIELDS, values!);
  return rows;
}

/** Counters by disk of `/proc/diskstats`; sectors are of 512 bytes, times in milliseconds. */
export function parseDiskstats(text: string): Record<string, Values> {
  const rows: Record<string, Values> = {};
  for (const [, name, values] of text.matchAll(/^ *\d+ +\d+ (\S+) (.*)$/gm)) rows[name!] = named(DISK_FIELDS, values!);
  return rows;
}

/** Usage of a process, from its row in `/proc/PID/stat`; times are in clock ticks (a hundred a second). */
export interface ProcessUsage {
  utime: number;
  stime: number;
  /** Of children that were waited for. */
  cutime: number;
  cstime: number;
  threads: number;
  /** Address space, in bytes. */
  vsize: number;
  /** Resident pages. */
  rss: number;
}

/** Zeros for an empty text. @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
export function parseProcessUsage(text: string): ProcessUsage {
  // The second field is the command in parentheses, which may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
  const field = (number: number) => fields[number - 3] ?? 0; // numbered as in the manual
  const [utime, stime, cutime, cstime] = [field(14), field(15), field(16), field(17)];
  return { utime, stime, cutime, cstime, threads: field(20), vsize: field(23), rss: field(24) };
}

function named(fields: readonly string[], values: string): Values {
  const numbers = values.trim().split(/\s+/).map(Number);
  return Object.fromEntries(fields.slice(0, numbers.length).map((field, index) => [field, numbers[index]!]));
}
