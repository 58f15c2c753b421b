/** Huge pages of a cgroup on v2. @see https://docs.kernel.org/admin-guide/cgroup-v2.html#hugetlb @module */
import {
  hasCgroupFile,
  readCgroupFile,
  readCgroupValue,
  readFlatKeyed,
  writeCgroupFile,
} from "../../../linux/cgroup/file.ts";
import type { HugepageLimit } from "../../spec/spec.ts";
import type { HugetlbStats } from "../stats.ts";

export function applyHugetlb(cgroup: string, limits: readonly HugepageLimit[]): void {
  for (const { pageSize, limit } of limits) {
    const file = `hugetlb.${pageSize}.max`;
    // Engines name each size that their machine has; another one without such pages has none to give.
    if (BigInt(limit) === 0n && !hasCgroupFile(cgroup, file)) continue;
    writeCgroupFile(cgroup, file, limit);
    // Without it a process reserves pages beyond the limit and dies by SIGBUS when it touches them.
    const reserved = `hugetlb.${pageSize}.rsvd.max`;
    if (readCgroupFile(cgroup, reserved) !== undefined) writeCgroupFile(cgroup, reserved, limit);
  }
}

/** @param pageSizes `2MB`…: the sizes that the kernel has. */
export function hugetlbStats(cgroup: string, pageSizes: readonly string[]): Map<string, HugetlbStats> {
  const found = new Map<string, HugetlbStats>();
  for (const size of pageSizes) {
    const usage = readCgroupValue(cgroup, `hugetlb.${size}.current`);
    if (typeof usage !== "bigint") continue;
    const failures = readFlatKeyed(cgroup, `hugetlb.${size}.events`).get("max") ?? 0n;
    found.set(size, { usage, maxUsage: 0n, failures });
  }
  return found;
}

const UNITS = ["KB", "MB", "GB"] as const;

/** Page sizes as the files of the controller spell them, from `/sys/kernel/mm/hugepages/hugepages-2048kB`. */
export function hugePageSizes(directory = "/sys/kernel/mm/hugepages"): string[] {
  let names: string[];
  try {
    names = [...Deno.readDirSync(directory)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  return names.flatMap((name) => {
    const match = /^hugepages-(\d+)kB$/.exec(name);
    return match === null ? [] : [pageSizeName(Number(match[1]))];
  }).sort();
}

function pageSizeName(kibibytes: number): string {
  let unit = 0;
  while (kibibytes % 1024 === 0 && unit < UNITS.length - 1) {
    kibibytes /= 1024;
    unit++;
  }
  return `${kibibytes}${UNITS[unit]}`;
}
