/** Stopping all processes of a cgroup on v2. @module */
import { readFlatKeyed, writeCgroupFile } from "../../../linux/cgroup/file.ts";

export function setFrozen(cgroup: string, { frozen }: { frozen: boolean }): void {
  writeCgroupFile(cgroup, "cgroup.freeze", frozen ? 1 : 0);
}

/** Whether every process has stopped, which follows a little after {@linkcode setFrozen}. */
export function isFrozen(cgroup: string): boolean {
  return readFlatKeyed(cgroup, "cgroup.events").get("frozen") === 1n;
}
