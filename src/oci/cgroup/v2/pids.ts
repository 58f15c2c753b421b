/** Number of processes of a cgroup. The files are the same on v1 and v2. @module */
import { readCgroupValue, writeCgroupFile } from "../../../linux/cgroup/file.ts";
import type { Resources } from "../../spec/spec.ts";
import type { CgroupStats } from "../stats.ts";

/** A limit of 0 or less is none, says the specification; 0 is what encoders write for "absent", so it changes nothing. */
export function applyPids(cgroup: string, { limit = 0 }: NonNullable<Resources["pids"]>): void {
  if (BigInt(limit) !== 0n) writeCgroupFile(cgroup, "pids.max", BigInt(limit) < 0n ? "max" : limit);
}

export function pidsStats(cgroup: string): CgroupStats["pids"] {
  const current = readCgroupValue(cgroup, "pids.current");
  const limit = readCgroupValue(cgroup, "pids.max");
  return { current: typeof current === "bigint" ? current : 0n, limit: typeof limit === "bigint" ? limit : 0n };
}
