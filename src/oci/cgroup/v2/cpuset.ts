/** The CPUs and memory nodes that a cgroup may use. The files are the same on v1 and v2. @module */
import { writeCgroupFile } from "../../../linux/cgroup/file.ts";
import type { CpuResources } from "../../spec/spec.ts";

export function applyCpuset(cgroup: string, { cpus, mems }: CpuResources): void {
  if (cpus) writeCgroupFile(cgroup, "cpuset.cpus", cpus);
  if (mems) writeCgroupFile(cgroup, "cpuset.mems", mems);
}
