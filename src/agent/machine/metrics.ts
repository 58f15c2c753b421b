/**
 * The guest's figures in Prometheus' text form, read from procfs at each scrape. Names, items and units are those of Kata's
 * agent, which the field's dashboards ask for.
 *
 * @module
 */
import { type Family, gauge, items, renderFamilies, single, table } from "../../base/prometheus.ts";
import {
  ALL_CPUS_LABEL,
  parseCpuTimes,
  parseDiskstats,
  parseKeyValues,
  parseMeminfo,
  parseNetDev,
  parseProcessUsage,
  parseStatus,
  TICKS_PER_SECOND,
} from "../../linux/process/procfs.ts";

/** Sources of the text; tests hand in a directory that looks like procfs. */
export interface MetricsSource {
  /** Mount point of procfs. */
  procRoot: string;
  /** Bytes and inodes of each real file system, see `filesystems.ts`. */
  filesystems(): FilesystemUsage[];
}

/** Room in one mounted file system, in bytes and inodes. */
export interface FilesystemUsage {
  mount: string;
  device: string;
  bytes: { total: bigint; used: bigint; available: bigint };
  inodes: { total: bigint; used: bigint; available: bigint };
}

/**
 * Renders all metrics as Prometheus' exposition text.
 *
 * A file that this kernel lacks (such as `diskstats` without block devices) leaves its family out.
 *
 * @param scrapes How often the agent has been asked, this time included.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function renderMetrics(scrapes: number, source: MetricsSource): string {
  const read = (name: string) => readText(`${source.procRoot}/${name}`);
  const families = [
    { ...single("kata_agent_scrape_count", "Times the agent's metrics were read", scrapes), type: "counter" },
    ...agentFamilies(read),
    ...guestFamilies(read),
    ...filesystemFamilies(source.filesystems()),
  ];
  return renderFamilies(families);
}

type ReadFile = (name: string) => string;

function agentFamilies(read: ReadFile): Family[] {
  const { utime, stime, cutime, cstime, threads, vsize } = parseProcessUsage(read("self/stat"));
  const status = parseStatus(read("self/status"));
  const seconds = (utime + stime) / TICKS_PER_SECOND;
  const rss = (status["vmrss"] ?? 0) * 1024; // there in KiB, in self/stat in pages
  return [
    single("kata_agent_total_time", "User and system time of the agent, in seconds", seconds),
    single("kata_agent_threads", "Threads of the agent", threads),
    single("kata_agent_total_vm", "Address space of the agent, in bytes", vsize),
    single("kata_agent_total_rss", "Resident memory of the agent, in bytes", rss),
    items("kata_agent_proc_status", "Fields of /proc/self/status, memory in KiB", status),
    items("kata_agent_io_stat", "Fields of /proc/self/io", parseKeyValues(read("self/io"))),
    items("kata_agent_proc_stat", "Times of /proc/self/stat, in clock ticks", { utime, stime, cutime, cstime }),
  ];
}

function guestFamilies(read: ReadFile): Family[] {
  const load = read("loadavg").split(" ");
  const tasks = (load[3] ?? "").split("/");
  return [
    items("kata_guest_load", "Load averages", numbers({ load1: load[0], load5: load[1], load15: load[2] })),
    items("kata_guest_tasks", "Scheduling entities: runnable and all", numbers({ cur: tasks[0], max: tasks[1] })),
    items("kata_guest_meminfo", "Fields of /proc/meminfo, in bytes", parseMeminfo(read("meminfo"))),
    items("kata_guest_vm_stat", "Fields of /proc/vmstat", parseKeyValues(read("vmstat"))),
    table(
      { name: "kata_guest_cpu_time", help: `Milliseconds per CPU; "${ALL_CPUS_LABEL}" is their sum`, row: "cpu" },
      parseCpuTimes(read("stat")),
    ),
    table(
      { name: "kata_guest_netdev_stat", help: "Counters of each interface", row: "interface" },
      parseNetDev(read("net/dev")),
    ),
    table(
      { name: "kata_guest_diskstat", help: "Counters of each disk", row: "disk" },
      parseDiskstats(read("diskstats")),
    ),
  ];
}

function filesystemFamilies(usages: FilesystemUsage[]): Family[] {
  const family = (name: string, help: string, unit: "bytes" | "inodes") => {
    const samples = usages.flatMap(({ mount, device, [unit]: room }) =>
      Object.entries(room).map(([item, value]) => ({ labels: { mount, device, item }, value }))
    );
    return gauge(name, help, samples);
  };
  return [
    family("kata_guest_filesystem_bytes", "Room in each file system", "bytes"),
    family("kata_guest_filesystem_inodes", "Inodes of each file system", "inodes"),
  ];
}

function numbers(values: Record<string, string | undefined>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, text]) => text === undefined || text === "" ? [] : [[key, Number(text)]]),
  );
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return "";
    throw error;
  }
}
