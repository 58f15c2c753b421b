/** Access to devices on v2: a BPF program on the cgroup, made from the list of rules. @module */
import { type DeviceRule as BpfRule, setDeviceRules } from "../../../linux/bpf/device_program.ts";
import type { DeviceRule, DeviceType } from "../../spec/spec.ts";

const TYPES = { a: "all", b: "block", c: "char", u: "char" } as const satisfies Partial<
  Record<DeviceType, BpfRule["type"]>
>;

export function applyDevices(cgroup: string, rules: readonly DeviceRule[]): void {
  setDeviceRules(cgroup, bpfRules(rules));
}

/** Pipes are no devices: a rule for them means nothing. */
export function bpfRules(rules: readonly DeviceRule[]): BpfRule[] {
  const number = (value: number | undefined) => value === undefined || value < 0 ? undefined : value;
  return rules.flatMap(({ allow, type = "a", major, minor, access }) => {
    if (type === "p") return [];
    return [{ allow, type: TYPES[type], major: number(major), minor: number(minor), access: access || "rwm" }];
  });
}
