/**
 * Where a device is to appear in this guest, and how the kernel tells of its kind.
 *
 * A new kind is a case of {@linkcode DeviceAddress} and a row of {@linkcode DEVICE_KINDS}; the compiler finds the missing
 * one. The search in sysfs is a file of its own beside this one, such as `net.ts` and `disk.ts`.
 *
 * @module
 */
import { type DiskAddress, toDiskSource } from "../../agent_api/disk_address.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import type { Uevent } from "../../linux/device/uevent.ts";

/** Address of a device, as the host that plugged it in names it. */
export type DeviceAddress =
  /** A network interface, by its hardware address in lower case. */
  | { kind: "net"; mac: string }
  /** A network interface, by the slots on the way to its card: `02/01`. See `pci.ts`. */
  | { kind: "net"; pciPath: string }
  /** A network interface, by the name that the kernel gives it. */
  | { kind: "net"; name: string }
  /** A disk, by the address that the host's monitor says. */
  | { kind: "disk"; at: DiskAddress }
  /** A shared file system; nothing but a mount tells whether there is one of this tag. */
  | { kind: "virtio-fs"; tag: string }
  /** Processors, so many in all, whichever they are. */
  | { kind: "cpu"; total: number }
  /** Blocks of memory that are not in use yet, whichever they are. */
  | { kind: "memory" };

/** One kind of device. */
interface DeviceKind<A> {
  /** The device as an error names it. */
  text(address: A): string;
  /** The subsystem whose events tell of such devices. */
  subsystem: string;
  /** Names the devices of this kind that are there, for an error. @param sys `/sys`, or a directory like it. */
  present(sys: string): string;
}

type Kind = DeviceAddress["kind"];

export const DEVICE_KINDS: { readonly [K in Kind]: DeviceKind<Extract<DeviceAddress, { kind: K }>> } = {
  net: {
    text: (address) => {
      if ("mac" in address) return `network interface with hardware address "${address.mac}"`;
      return "name" in address
        ? `network interface "${address.name}"`
        : `network card at PCI path "${address.pciPath}"`;
    },
    subsystem: "net",
    present: (sys) => listed(`${sys}/class/net`),
  },
  disk: {
    text: ({ at }) => {
      const { driver, source } = toDiskSource(at);
      return `disk "${source}" of driver "${driver}"`;
    },
    subsystem: "block",
    present: (sys) => listed(`${sys}/class/block`, /^(?!loop|ram)/),
  },
  "virtio-fs": {
    text: ({ tag }) => `shared file system "${tag}"`,
    // A driver that has taken its device is news of that device's bus.
    subsystem: "virtio",
    present: (sys) => listed(`${sys}/bus/virtio/drivers/virtiofs`, /^virtio\d+$/),
  },
  cpu: {
    text: ({ total }) => `${total} CPUs in all`,
    subsystem: "cpu",
    present: (sys) => listed(`${sys}/devices/system/cpu`, /^cpu\d+$/),
  },
  memory: {
    text: () => "memory that was plugged in",
    subsystem: "memory",
    present: (sys) => listed(`${sys}/devices/system/memory`, /^memory\d+$/),
  },
};

/** The row of an address. */
export function kindOf(address: DeviceAddress): DeviceKind<DeviceAddress> {
  return DEVICE_KINDS[address.kind] as DeviceKind<DeviceAddress>;
}

/** Whether an event may bring a device of this address. */
export function isNewsOf(address: DeviceAddress, { subsystem, action }: Uevent): boolean {
  return subsystem === kindOf(address).subsystem && action !== "remove";
}

/** Names that an error lists. */
const MOST_NAMES = 16;

function listed(directory: string, matching = /^/): string {
  const names = namesIn(directory).filter((name) => matching.test(name)).sort();
  if (names.length === 0) return "none";
  const rest = names.length - MOST_NAMES;
  return `${names.slice(0, MOST_NAMES).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

/** Names in a directory of sysfs; none if there is no such directory. */
export function namesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}
