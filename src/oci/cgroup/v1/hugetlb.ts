/** Huge pages of a cgroup on v1. @see https://docs.kernel.org/admin-guide/cgroup-v1/hugetlb.html @module */
import { hasCgroupFile, readCgroupFile, readCgroupValue, writeCgroupFile } from "../../../linux/cgroup/file.ts";
import type { HugepageLimit } from "../../spec/spec.ts";
import type { HugetlbStats } from "../stats.ts";

export function applyHugetlb(cgroup: string, limits: readonly HugepageLimit[]): void {
  for (const { pageSize, limit } of limits) {
    const file = `hugetlb.${pageSize}.limit_in_bytes`;
    // Engines name each size that their machine has; another one without such pages has none to give.
    if (BigInt(limit) === 0n && !hasCgroupFile(cgroup, file)) continue;
    writeCgroupFile(cgroup, file, limit);
    // Without it a process reserves pages beyond the limit and dies by SIGBUS when it touches them.
    const reserved = `hugetlb.${pageSize}.rsvd.limit_in_bytes`;
    if (readCgroupFile(cgroup, reserved) !== undefined) writeCgroupFile(cgroup, reserved, limit);
  }
}

/** @param pageSizes `2MB`…: the sizes that the kernel has. */
export function hugetlbStats(cgroup: string, pageSizes: readonly string[]): Map<string, HugetlbStats> {
  const found = new Map<string, HugetlbStats>();
  for (const size of pageSizes) {
    const read = (file: string) => {
      const value = readCgroupValue(cgroup, `hugetlb.${size}.${file}`);
      return typeof value === "bigint" ? value : undefined;
    };
    const usage = read("usage_in_bytes");
    if (usage === undefined) continue;
    found.set(size, { usage, maxUsage: read("max_usage_in_bytes") ?? 0n, failures: read("failcnt") ?? 0n });
  }
  return found;
}
