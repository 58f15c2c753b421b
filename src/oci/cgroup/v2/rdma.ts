/** Remote memory access of a cgroup. The file is the same on v1 and v2. @module */
import { writeCgroupFile } from "../../../linux/cgroup/file.ts";
import type { Resources } from "../../spec/spec.ts";

/** @see https://docs.kernel.org/admin-guide/cgroup-v2.html#rdma */
export function applyRdma(cgroup: string, devices: NonNullable<Resources["rdma"]>): void {
  for (const [device, { hcaHandles, hcaObjects }] of Object.entries(devices)) {
    const handles = hcaHandles === undefined ? [] : [`hca_handle=${hcaHandles}`];
    const objects = hcaObjects === undefined ? [] : [`hca_object=${hcaObjects}`];
    const limits = [...handles, ...objects];
    // A write is one device; one without a limit would be a syntax error to the kernel.
    if (limits.length > 0) writeCgroupFile(cgroup, "rdma.max", [device, ...limits].join(" "));
  }
}
