/** Figures of a process of the host, as families of Prometheus named as Kata's. @module */
import { type Family, items, single, table } from "../../base/prometheus.ts";
import { parseKeyValues, parseNetDev, parseProcessUsage } from "../../linux/process/procfs.ts";

/**
 * Families of the shim or of the monitor; none of what the kernel does not tell, as the process may end meanwhile.
 *
 * @param prefix `kata_shim` or `kata_hypervisor`.
 * @param proc Mount point of procfs.
 */
export function processFamilies(prefix: string, pid: number, proc = "/proc"): Family[] {
  const read = (name: string) => readText(`${proc}/${pid}/${name}`);
  const usage = read("stat");
  if (usage === "") return [];
  const { utime, stime, cutime, cstime, threads } = parseProcessUsage(usage);
  return [
    single(`${prefix}_threads`, "Threads", threads),
    single(`${prefix}_fds`, "Open file descriptors", countDescriptors(`${proc}/${pid}/fd`)),
    items(`${prefix}_proc_status`, "Fields of /proc/PID/status; sizes in bytes", statusItems(read("status"))),
    items(`${prefix}_proc_stat`, "Times of /proc/PID/stat, in clock ticks", { utime, stime, cutime, cstime }),
    items(`${prefix}_io_stat`, "Fields of /proc/PID/io", ioItems(read("io"))),
  ];
}

const STATUS = /^(?:vm|rss|hugetlb|voluntary_ctxt|nonvoluntary_ctxt)/;

/** Counters of each interface of the monitor's network namespace. */
export function networkFamily(pid: number, proc = "/proc"): Family {
  const help = "Counters of each interface of its network namespace";
  return table(
    { name: "kata_hypervisor_netdev", help, row: "interface" },
    parseNetDev(readText(`${proc}/${pid}/net/dev`)),
  );
}

/** Sizes and switches, by names in small letters. */
function statusItems(text: string): Record<string, number> {
  const all = Object.entries(parseKeyValues(text)).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(all.filter(([name]) => STATUS.test(name)));
}

/** Names without their underscores. */
function ioItems(text: string): Record<string, number> {
  return Object.fromEntries(
    Object.entries(parseKeyValues(text)).map(([name, value]) => [name.replaceAll("_", ""), value]),
  );
}

function countDescriptors(path: string): number {
  try {
    return [...Deno.readDirSync(path)].length;
  } catch {
    return 0; // it has just ended
  }
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
