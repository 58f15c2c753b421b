/** Access to devices on v2: a BPF program on the cgroup, made from the list of rules. @module */
import type { DeviceRule } from "../../spec.ts";

export function applyDevices(_cgroup: string, _rules: readonly DeviceRule[]): void {
}
