/** Tags of the packets that a cgroup sends, on v1: the controllers `net_cls` and `net_prio`. @module */
import { writeCgroupFile } from "../../../linux/cgroup/file.ts";
import type { NetworkResources } from "../../spec/spec.ts";

export function applyNetClass(cgroup: string, { classID }: NetworkResources): void {
  if (classID) writeCgroupFile(cgroup, "net_cls.classid", classID);
}

export function applyNetPriorities(cgroup: string, { priorities = [] }: NetworkResources): void {
  for (const { name, priority } of priorities) writeCgroupFile(cgroup, "net_prio.ifpriomap", `${name} ${priority}`);
}
