/** The guest's figures in Prometheus' text form, read from procfs at each scrape. @module */
import { ALL_CPUS_LABEL, parseCpuTimes, parseDiskstats, parseKeyValues, parseNetDev } from "../../linux/process/procfs.ts";

/** One line: label values in the order of the family's `labels`. */
interface Sample {
  labels: readonly string[];
  value: number | bigint;
}

interface Family {
  name: string;
  help: string;
  type: "counter" | "gauge";
  labels: readonly string[];
  samples: Sample[];
}

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
    { ...gauge("kata_agent_scrape_count", "Times the agent's metrics were read"), samples: [plain(scrapes)] },
    ...agentFamilies(read),
    ...guestFamilies(read),
    ...filesystemFamilies(source.filesystems()),
  ];
  return families.filter(({ samples }) => samples.length > 0).map(renderFamily).join("");
}

type ReadFile = (name: string) => string;

function agentFamilies(read: ReadFile): Family[] {
  const [time, threads, vm, rss] = parseOwnStat(read("self/stat"));
  return [
    { ...gauge("kata_agent_total_time", "User and system time of the agent, in clock ticks"), samples: [plain(time)] },
    { ...gauge("kata_agent_threads", "Threads of the agent"), samples: [plain(threads)] },
    { ...gauge("kata_agent_total_vm", "Address space of the agent, in bytes"), samples: [plain(vm)] },
    { ...gauge("kata_agent_total_rss", "Resident memory of the agent, in pages"), samples: [plain(rss)] },
    items("kata_agent_proc_status", "Fields of /proc/self/status", parseKeyValues(read("self/status"))),
    items("kata_agent_io_stat", "Fields of /proc/self/io", parseKeyValues(read("self/io"))),
    items("kata_agent_proc_stat", "Fields of /proc/self/stat", {
      utime_stime: time,
      num_threads: threads,
      vsize: vm,
      rss,
    }),
  ];
}

function guestFamilies(read: ReadFile): Family[] {
  const load = read("loadavg").split(" ");
  const tasks = (load[3] ?? "").split("/");
  return [
    items("kata_guest_load", "Load averages", numbers({ load1: load[0], load5: load[1], load15: load[2] })),
    items("kata_guest_tasks", "Scheduling entities: runnable and all", numbers({ cur: tasks[0], max: tasks[1] })),
    items("kata_guest_meminfo", "Fields of /proc/meminfo, in bytes", parseKeyValues(read("meminfo"))),
    items("kata_guest_vm_stat", "Fields of /proc/vmstat", parseKeyValues(read("vmstat"))),
    table(
      "kata_guest_cpu_time",
      `Clock ticks per CPU; "${ALL_CPUS_LABEL}" is their sum`,
      "cpu",
      parseCpuTimes(read("stat")),
    ),
    table("kata_guest_netdev_stat", "Counters of each interface", "interface", parseNetDev(read("net/dev"))),
    table("kata_guest_diskstat", "Counters of each disk", "disk", parseDiskstats(read("diskstats"))),
  ];
}

function filesystemFamilies(usages: FilesystemUsage[]): Family[] {
  const family = (name: string, help: string, unit: "bytes" | "inodes"): Family => ({
    ...gauge(name, help),
    labels: ["mount", "device", "item"],
    samples: usages.flatMap((usage) =>
      Object.entries(usage[unit]).map(([item, value]) => ({ labels: [usage.mount, usage.device, item], value }))
    ),
  });
  return [
    family("kata_guest_filesystem_bytes", "Room in each file system", "bytes"),
    family("kata_guest_filesystem_inodes", "Inodes of each file system", "inodes"),
  ];
}

function gauge(name: string, help: string): Omit<Family, "samples"> {
  return { name, help, type: "gauge", labels: [] };
}

function items(name: string, help: string, values: Readonly<Record<string, number>>): Family {
  const samples = Object.entries(values).map(([item, value]) => ({ labels: [item], value }));
  return { name, help, type: "gauge", labels: ["item"], samples };
}

type Rows = Readonly<Record<string, Readonly<Record<string, number>>>>;

function table(name: string, help: string, rowLabel: string, rows: Rows): Family {
  const samples = Object.entries(rows).flatMap(([row, values]) =>
    Object.entries(values).map(([item, value]) => ({ labels: [row, item], value }))
  );
  return { name, help, type: "gauge", labels: [rowLabel, "item"], samples };
}

function plain(value: number): Sample {
  return { labels: [], value };
}

function numbers(values: Record<string, string | undefined>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, text]) => text === undefined || text === "" ? [] : [[key, Number(text)]]),
  );
}

/** Time, threads, address space and resident pages of the agent. */
function parseOwnStat(text: string): [time: number, threads: number, vm: number, rss: number] {
  // The second field is the command in parentheses, which may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
  const field = (number: number) => fields[number - 3] ?? 0; // numbered as in proc(5)
  return [field(14) + field(15), field(20), field(23), field(24)];
}

function renderFamily({ name, help, type, labels, samples }: Family): string {
  const lines = samples.map((sample) => {
    const pairs = labels.map((label, index) => `${label}="${escapeLabel(sample.labels[index] ?? "")}"`);
    return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${sample.value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (char) => char === "\n" ? "\\n" : `\\${char}`);
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return "";
    throw error;
  }
}
