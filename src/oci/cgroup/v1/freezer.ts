/** Stopping all processes of a cgroup on v1. @see https://docs.kernel.org/admin-guide/cgroup-v1/freezer-subsystem.html @module */
import { readCgroupFile, writeCgroupFile, writeCgroupFileIfThere } from "../../../linux/cgroup/file.ts";

export function setFrozen(cgroup: string, { frozen }: { frozen: boolean }): void {
  writeCgroupFile(cgroup, "freezer.state", frozen ? "FROZEN" : "THAWED");
}

/** As {@linkcode setFrozen}, for a cgroup that another may remove in this moment. */
export function thawIfThere(cgroup: string): void {
  writeCgroupFileIfThere(cgroup, "freezer.state", "THAWED");
}

/** False while it still reads FREEZING: reading the state is also what moves the kernel on. */
export function isFrozen(cgroup: string): boolean {
  return readCgroupFile(cgroup, "freezer.state") === "FROZEN";
}
