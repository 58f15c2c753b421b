/** The CPUs and memory nodes of a cgroup on v1, as they are. @see https://man7.org/linux/man-pages/man7/cpuset.7.html @module */
import { cpusOf, parseCpuList } from "../../../base/cpu_list.ts";
import { readCgroupFile, readCgroupValue } from "../../../linux/cgroup/file.ts";
import { type CpusetStats, FLAGS_OF_CPUSET } from "../stats.ts";

export function cpusetStats(cgroup: string): CpusetStats {
  const list = (file: string) => cpusOf(parseCpuList(readCgroupFile(cgroup, `cpuset.${file}`) ?? ""));
  const flags = FLAGS_OF_CPUSET.map((name) => {
    const value = readCgroupValue(cgroup, `cpuset.${name}`);
    // -1, the default of the last one, is `max` elsewhere.
    return [name, value === "max" ? -1n : value ?? 0n] as const;
  });
  return { cpus: list("cpus"), mems: list("mems"), ...Object.fromEntries(flags) } as CpusetStats;
}
