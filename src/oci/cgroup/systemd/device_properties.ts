/** Access to devices as properties of a systemd unit, which would take away what it does not know of. @module */
import { deviceKinds, type DeviceRule } from "../../spec/resources.ts";
import { type Property, property } from "../../../systemd/manager.ts";

/** Sum of all rules: open but for some devices, which systemd cannot express, or closed but for a list. */
interface Access {
  isOpen: boolean;
  allowed: DeviceRule[];
}

/** @param devices The kernel's table of major numbers. */
export function deviceProperties(rules: readonly DeviceRule[] | undefined, devices = readDevices): Property[] {
  if (rules === undefined) return [];
  const { isOpen, allowed } = sum(rules);
  if (isOpen) return [property("DevicePolicy", "s", "auto"), property("DeviceAllow", "a(ss)", [])];
  const table = allowed.some(({ minor }) => isAny(minor)) ? devices() : "";
  const entries = allowed.flatMap((rule) => {
    const name = deviceName(rule, table);
    return name === undefined ? [] : [[name, rule.access || "rwm"]];
  });
  return [
    property("DevicePolicy", "s", "strict"),
    // The empty list takes away what an earlier one allowed.
    property("DeviceAllow", "a(ss)", []),
    ...entries.length > 0 ? [property("DeviceAllow", "a(ss)", entries)] : [],
  ];
}

function isAny(number: number | undefined): boolean {
  return number === undefined || number < 0;
}

function sum(rules: readonly DeviceRule[]): Access {
  const access: Access = { isOpen: true, allowed: [] };
  for (const rule of rules.flatMap(deviceKinds)) {
    if ((rule.type ?? "a") === "a") {
      access.isOpen = rule.allow;
      access.allowed = [];
    } else if (rule.allow) access.allowed.push(rule);
    else access.allowed = access.allowed.filter((one) => !isSameDevice(one, rule));
  }
  return access;
}

function isSameDevice(left: DeviceRule, right: DeviceRule): boolean {
  return left.type === right.type && left.major === right.major && left.minor === right.minor;
}

/** `/dev/char/1:3`, `char-*`, or by its driver's name if all minor numbers of a major one are meant. */
function deviceName({ type, major, minor }: DeviceRule, table: string): string | undefined {
  if (type === "p") return undefined;
  const kind = type === "b" ? "block" : "char";
  if (isAny(major)) return `${kind}-*`;
  if (!isAny(minor)) return `/dev/${kind}/${major}:${minor}`;
  const [characters = "", blocks = ""] = table.split("Block devices:");
  const [, driver] = new RegExp(`^ *${major} (\\S+)$`, "m").exec(kind === "block" ? blocks : characters) ?? [];
  return driver && `${kind}-${driver}`;
}

function readDevices(): string {
  return Deno.readTextFileSync("/proc/devices");
}
