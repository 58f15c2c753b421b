/**
 * Where sysfs has the device at the end of a PCI path. The host knows in which slots it has plugged a card and the bridges
 * before it; numbers of buses behind bridges are the guest's.
 *
 * @module
 */
import { KataError } from "../../base/error.ts";
import { namesIn } from "./address.ts";

/** Slot and function of one hop, each hexadecimal: `1f`, `1f.7`. */
const HOP = /^([0-9a-f]{1,2})(?:\.([0-7]))?$/i;
/** The root bus of the first domain, the only one of the machines that we start. */
const ROOT_BUS = "0000:00";
const LAST_SLOT = 0x1f;

/**
 * Follows a path from the root bus.
 *
 * @param path Slots with a slash between, such as `02/01`: the card in slot 1 behind the bridge in slot 2.
 * @param sys `/sys`, or a directory like it.
 * @returns The device's directory; undefined while one of the devices is not there.
 * @throws {KataError} INVALID_ARGUMENT: it is no such path.
 */
export function pciDevice(path: string, sys: string): string | undefined {
  const [first = "", ...rest] = path.split("/").map((hop) => deviceOn(hop, path));
  let directory = childOf(rootOf(sys), `${ROOT_BUS}:${first}`);
  for (const device of rest) {
    // A bridge has its bus below it once the kernel has numbered that.
    const [bus] = directory === undefined ? [] : namesIn(`${directory}/pci_bus`);
    if (bus === undefined) return undefined;
    directory = childOf(directory, `${bus}:${device}`);
  }
  return directory;
}

/** Slot and function as names in sysfs have them: `1f.0`. */
function deviceOn(hop: string, path: string): string {
  const [, slot, number = "0"] = HOP.exec(hop) ?? [];
  if (slot !== undefined && Number.parseInt(slot, 16) <= LAST_SLOT) {
    return `${slot.toLowerCase().padStart(2, "0")}.${number}`;
  }
  const rule = 'expected slots in hexadecimal up to 1f, such as "02/01"';
  throw new KataError("INVALID_ARGUMENT", `Cannot use PCI path ${JSON.stringify(path)}: ${rule}`);
}

/** ARM's root bus lies below the device of its controller, unless ACPI describes it. */
function rootOf(sys: string): string | undefined {
  const name = `pci${ROOT_BUS}`;
  const above = [
    `${sys}/devices`,
    ...namesIn(`${sys}/devices/platform`).map((one) => `${sys}/devices/platform/${one}`),
  ];
  return above.map((directory) => childOf(directory, name)).find((found) => found !== undefined);
}

function childOf(directory: string | undefined, name: string): string | undefined {
  if (directory === undefined) return undefined;
  return namesIn(directory).includes(name) ? `${directory}/${name}` : undefined;
}
