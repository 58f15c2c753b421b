/** The CPUs and memory nodes of a cgroup on v1, as they are. @see https://man7.org/linux/man-pages/man7/cpuset.7.html @module */
import { readCgroupFile, readCgroupValue } from "../../../linux/cgroup_file.ts";
import { type CpusetStats, FLAGS_OF_CPUSET } from "../stats.ts";

export function cpusetStats(cgroup: string): CpusetStats {
  const list = (file: string) => parseList(readCgroupFile(cgroup, `cpuset.${file}`) ?? "");
  const flags = FLAGS_OF_CPUSET.map((name) => {
    const value = readCgroupValue(cgroup, `cpuset.${name}`);
    // -1, the default of the last one, is `max` elsewhere.
    return [name, value === "max" ? -1n : value ?? 0n] as const;
  });
  return { cpus: list("cpus"), mems: list("mems"), ...Object.fromEntries(flags) } as CpusetStats;
}

/** `0-3,7`, as the kernel writes it. */
function parseList(text: string): number[] {
  return text.split(",").filter((range) => range !== "").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
