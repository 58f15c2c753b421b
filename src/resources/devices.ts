/** Selects the devices of a container's specification that it can have in the guest. @module */
import { quoted } from "../base/text.ts";
import { KataError } from "../base/error.ts";
import type { Logger } from "../base/log.ts";
import type { Device, DeviceRule, Linux, Resources } from "../oci/spec/spec.ts";

/**
 * Says which devices that a container asks for by name it does not get. A privileged one names none: its engine lists
 * all that the host has.
 *
 * @throws {KataError} UNIMPLEMENTED for a disk of the host: what is written to another one would be lost.
 */
export function checkDevices(linux: Linux = {}, { containerId, log }: { containerId: string; log: Logger }): void {
  if (isPrivileged(linux.resources)) return;
  for (const device of linux.devices ?? []) {
    const name = `device ${quoted(device.path)} (${device.type} ${device.major}:${device.minor})`;
    if (isDisk(device)) {
      const why = "disks of the host cannot be passed to a virtual machine yet";
      throw new KataError("UNIMPLEMENTED", `Cannot give ${name} to container "${containerId}": ${why}`);
    }
    if (isOfKernel(device)) continue;
    log.warning(`Container "${containerId}" cannot open ${name}: the host's hardware is not in the guest`);
  }
}

/** As the guest shall make them. Privileged containers get none of the hardware that their engine lists unasked. */
export function toGuestDevices({ devices = [], resources }: Linux): Device[] {
  return devices.filter(isPrivileged(resources) ? isOfKernel : (device) => !isDisk(device));
}

/**
 * Rules for the guest's devices, some of which are the agent's: its channel, the guest's own disk. A container's rules
 * name the host's device numbers, so only rules for devices with the same numbers everywhere are kept.
 */
export function toGuestRules(rules: readonly DeviceRule[] = []): DeviceRule[] {
  if (isPrivileged({ devices: [...rules] })) return [{ allow: true, access: "rwm" }];
  return [{ allow: false, access: "rwm" }, ...rules.filter((rule) => isOfKernel({ path: "", type: "a", ...rule }))];
}

/** A disk's number is another disk in the guest, perhaps the guest's own. */
function isDisk({ type }: Device): boolean {
  return type === "b";
}

/** Engines give a privileged container every device of the host, without being asked for any. */
function isPrivileged(resources: Resources | undefined): boolean {
  const rules = resources?.devices ?? [];
  return rules.some(({ allow, type = "a", major, minor, access = "rwm" }) =>
    allow && type === "a" && major === undefined && minor === undefined && access === "rwm"
  );
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
