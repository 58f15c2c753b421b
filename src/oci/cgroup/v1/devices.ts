/**
 * Access to devices on v1: a list of what is allowed, changed by one rule a write.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/devices.html
 * @module
 */
import { writeCgroupFile } from "../../../linux/cgroup/file.ts";
import { deviceKinds, type DeviceRule } from "../../spec/resources.ts";

/** Rules apply in order, so a later one wins. */
export function applyDevices(cgroup: string, rules: readonly DeviceRule[]): void {
  for (const rule of rules.flatMap(deviceKinds)) {
    writeCgroupFile(cgroup, rule.allow ? "devices.allow" : "devices.deny", formatRule(rule));
  }
}

/** `c 1:3 rwm`; -1 or nothing is any number. */
export function formatRule({ type = "a", major, minor, access }: DeviceRule): string {
  const number = (value: number | undefined) => value === undefined || value < 0 ? "*" : String(value);
  if (type === "a") return "a";
  // Other letters mean nothing: runc passes them over, and so clients have them.
  const letters = access?.replaceAll(/[^rwm]/g, "") || access || "rwm";
  return `${type === "u" ? "c" : type} ${number(major)}:${number(minor)} ${letters}`;
}
