/** The tables of procfs that the metrics are made from: text in, named numbers out. @module */

/** Name of the row of `/proc/stat` that sums all CPUs. */
export const ALL_CPUS_LABEL = "total";

type Values = Record<string, number>;

/** procfs counts in hundredths of a second on every Linux. */
export const TICKS_PER_SECOND = 100;
const MS_PER_TICK = 1000 / TICKS_PER_SECOND;

const STATUS_ITEMS: ReadonlySet<string> = new Set([
  ...["vmpeak", "vmsize", "vmlck", "vmpin", "vmhwm", "vmrss", "rssanon", "rssfile", "rssshmem"],
  ...["vmdata", "vmstk", "vmexe", "vmlib", "vmpte", "vmswap", "hugetlbpages"],
  ...["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"],
]);

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
 * Reads `name: value` and `name value` lines such as those of vmstat and io. Values in kB become bytes; lines whose value is
 * no number are left out.
 */
export function parseKeyValues(text: string): Values {
  return parseLines(text, (name, { value, isInKib }) => [name, isInKib ? value * 1024 : value]);
}

/** Fields of meminfo in bytes, by names in small letters: `mem_total`, `active_anon`, `direct_map_2M`. */
export function parseMeminfo(text: string): Values {
  return parseLines(text, (name, { value, isInKib }) => [meminfoItem(name), isInKib ? value * 1024 : value]);
}

/** Memory and switches of a process's status, by names in small letters; memory in KiB. */
export function parseStatus(text: string): Values {
  return parseLines(text, (name, { value }) => {
    const item = name.toLowerCase();
    return STATUS_ITEMS.has(item) ? [item, value] : undefined;
  });
}

type Item = [name: string, value: number] | undefined;

function parseLines(text: string, itemOf: (name: string, found: { value: number; isInKib: boolean }) => Item): Values {
  const items = [...text.matchAll(/^([\w()]+):?\s+(\d+)( kB)?$/gm)].map(([, name, value, unit]) =>
    itemOf(name!, { value: Number(value), isInKib: unit !== undefined })
  );
  return Object.fromEntries(items.filter((item) => item !== undefined));
}

function meminfoItem(name: string): string {
  if (name === "Percpu") return "per_cpu";
  const [, size] = /^DirectMap(\w+)$/.exec(name) ?? [];
  if (size !== undefined) return `direct_map_${size}`;
  return name.replace("HugePages", "Hugepages").replace(/\((\w+)\)/, "_$1")
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2").replace(/^([SK])(?=[A-Z])/, "$1_").toLowerCase();
}

/** Milliseconds by CPU (`0`, `1`, … and {@linkcode ALL_CPUS_LABEL}) and kind. */
export function parseCpuTimes(text: string): Record<string, Values> {
  const rows: Record<string, Values> = {};
  for (const [, cpu, values] of text.matchAll(/^cpu(\d*) +(.*)$/gm)) {
    const ticks = Object.entries(named(CPU_FIELDS, values!));
    rows[cpu === "" ? ALL_CPUS_LABEL : cpu!] = Object.fromEntries(
      ticks.map(([kind, count]) => [kind, count * MS_PER_TICK]),
    );
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
