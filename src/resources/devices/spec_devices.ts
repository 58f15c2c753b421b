/** Selects the devices of a container's specification that it can have in the guest. @module */
import { quoted } from "../../base/text.ts";
import type { Logger } from "../../base/log.ts";
import { DEFAULT_MODE, isDefaultDevice } from "../../oci/spec/default_devices.ts";
import { countingRules, deviceKinds } from "../../oci/spec/resources.ts";
import type { Device, DeviceRule, Linux, Resources } from "../../oci/spec/spec.ts";

/** Disks of the host that a container asks for. A privileged one gets none: its engine lists all that the host has. */
export function disksOf({ devices = [], resources }: Linux = {}): Device[] {
  return isPrivileged(resources) ? [] : devices.filter(isDisk);
}

/** Says which devices that a container asks for by name, or by being privileged, it does not get. */
export function checkDevices(linux: Linux = {}, { containerId, log }: { containerId: string; log: Logger }): void {
  if (isPrivileged(linux.resources)) {
    if (!hasHardware(linux.devices) || !isMapped(linux)) return;
    const missing = SERVICES.filter((device) => !isForAll(device)).map(({ path }) => path).join(", ");
    log.info(`Container "${containerId}" has no ${missing}: they are for root of the guest, which its root is not`);
    return;
  }
  for (const device of linux.devices ?? []) {
    if (isDisk(device) || isOfKernel(device)) continue;
    const name = `device ${quoted(device.path)} (${device.type} ${device.major}:${device.minor})`;
    log.warning(`Container "${containerId}" cannot open ${name}: the host's hardware is not in the guest`);
  }
}

/**
 * As the guest shall make them. Privileged containers get none of the hardware that their engine lists unasked, but what
 * the guest's own kernel offers, as they would have it on a node. The nodes that each container has are left out, as
 * Kata's agent makes them and cannot make them twice.
 */
export function toGuestDevices(linux: Linux): Device[] {
  const { devices = [], resources } = linux;
  const asked = isPrivileged(resources) ? forPrivileged(linux) : devices;
  return asked.filter((device) => !isDefaultDevice(device))
    .map(({ fileMode = DEFAULT_MODE, ...device }) => ({ ...device, fileMode }));
}

/** An engine that keeps the host's hardware from a privileged container keeps these from it too. */
function forPrivileged(linux: Linux): Device[] {
  const { devices = [] } = linux;
  const kept = devices.filter(isOfKernel);
  if (!hasHardware(devices)) return kept;
  const services = isMapped(linux) ? SERVICES.filter(isForAll) : SERVICES;
  return [...kept, ...services.filter(({ path }) => !kept.some((device) => device.path === path))];
}

function hasHardware(devices: readonly Device[] = []): boolean {
  return !devices.every(isOfKernel);
}

/** Root of such a container is none in the guest, and would own the nodes that are made for it. */
function isMapped({ namespaces = [], uidMappings = [] }: Linux): boolean {
  return uidMappings.length > 0 || namespaces.some(({ type }) => type === "user");
}

/** Opening it takes no rights; what it does then does. */
function isForAll({ fileMode }: Device): boolean {
  return fileMode === 0o666;
}

const LOOP_MAJOR = 7;
/** As many as a kernel makes from the start. */
const LOOPS = 8;

/** Devices of a kernel for whoever may do everything. Those of modules load them when they are opened. */
const SERVICES: readonly Device[] = [
  { path: "/dev/net/tun", type: "c", major: 10, minor: 200, fileMode: 0o666 },
  { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o666 },
  { path: "/dev/mapper/control", type: "c", major: 10, minor: 236, fileMode: 0o600 },
  { path: "/dev/loop-control", type: "c", major: 10, minor: 237, fileMode: 0o660 },
  ...Array.from({ length: LOOPS }, (_, minor): Device => {
    return { path: `/dev/loop${minor}`, type: "b", major: LOOP_MAJOR, minor, fileMode: 0o660 };
  }),
];

/**
 * Rules for the guest's devices, some of which are the agent's: its channel, the guest's own disk. A container's rules
 * name the host's device numbers, so only rules for devices with the same numbers everywhere are kept, and those for its
 * disks, whose numbers the agent replaces.
 */
export function toGuestRules({ resources, ...linux }: Linux): DeviceRule[] {
  const { hasAll, rules } = countingRules(resources?.devices);
  const disks = disksOf({ ...linux, ...(resources && { resources }) });
  const isKept = (rule: DeviceRule) =>
    isOfKernel({ path: "", type: "a", ...rule }) ||
    disks.some(({ major, minor }) => rule.type === "b" && rule.major === major && rule.minor === minor);
  return [{ allow: hasAll, access: "rwm" }, ...rules.flatMap(deviceKinds).filter(isKept)];
}

/** A disk's number is another one's in the guest, perhaps the guest's own, until the agent has replaced it. */
function isDisk({ type }: Device): boolean {
  return type === "b";
}

/** Engines give a privileged container every device of the host, without being asked for any. */
function isPrivileged(resources: Resources | undefined): boolean {
  return countingRules(resources?.devices).hasAll;
}

/** Major numbers of what is no hardware: memory, random numbers, and the own terminal. */
const KERNEL_MAJORS: readonly number[] = [1, 5];
/** Of the miscellaneous devices: TUN and FUSE. */
const MISC_MAJOR = 10;
const MISC_MINORS: readonly number[] = [200, 229];

/** Devices by which every kernel offers its own services, under the same numbers everywhere. */
function isOfKernel({ type, major = -1, minor = -1 }: Device): boolean {
  const isMisc = major === MISC_MAJOR && MISC_MINORS.includes(minor);
  return type === "p" || (type !== "b" && (KERNEL_MAJORS.includes(major) || isMisc));
}
