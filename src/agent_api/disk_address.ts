/** Addresses of disks in messages, which a driver and its source tell together. Pure. @module */
import { KataError } from "../base/error.ts";
import type { GuestAddress } from "./guest_address.ts";
import { STORAGE_DRIVER } from "./names.ts";

export type DiskAddress = Exclude<GuestAddress, { bus: "tag" }>;

export interface DiskSource {
  /** One of `STORAGE_DRIVER`; a device's type is spelled alike. */
  driver: DiskDriver;
  source: string;
}

const DRIVERS = {
  pci: STORAGE_DRIVER.block,
  scsi: STORAGE_DRIVER.scsi,
  mmio: STORAGE_DRIVER.blockMmio,
  ccw: STORAGE_DRIVER.blockCcw,
} as const satisfies Record<DiskAddress["bus"], string>;

/** Drivers of disks. */
export const DISK_DRIVERS: readonly DiskDriver[] = Object.values(DRIVERS);

export type DiskDriver = typeof DRIVERS[DiskAddress["bus"]];

export function toDiskSource(address: GuestAddress): DiskSource {
  switch (address.bus) {
    case "pci":
    case "mmio":
      return { driver: DRIVERS[address.bus], source: address.path };
    case "scsi":
      return { driver: DRIVERS.scsi, source: `${address.id}:${address.lun}` };
    case "ccw":
      return { driver: DRIVERS.ccw, source: address.id };
    case "tag":
      throw new Error(`Cannot find a disk by tag "${address.tag}": it is a shared directory`);
  }
}

const SCSI = /^(\d{1,3}):(\d{1,5})$/;
const NODE = /^\/dev\/[a-z][a-z0-9]*$/;
const CCW = /^[0-9a-f]{1,2}\.[0-3]\.[0-9a-f]{4}$/;

/** @throws {KataError} INVALID_ARGUMENT: the driver has no such addresses. A PCI path is checked where it is followed. */
export function fromDiskSource({ driver, source }: DiskSource): DiskAddress {
  const refuse = (rule: string) => {
    const what = `disk ${JSON.stringify(source)} of driver "${driver}"`;
    return new KataError("INVALID_ARGUMENT", `Cannot find ${what}: expected ${rule}`);
  };
  switch (driver) {
    case DRIVERS.pci:
      // Older hosts name the node.
      return source.startsWith("/") ? nodeAt(source, refuse) : { bus: "pci", path: source };
    case DRIVERS.mmio:
      return nodeAt(source, refuse);
    case DRIVERS.scsi: {
      const [, id, lun] = SCSI.exec(source) ?? [];
      if (id === undefined) throw refuse('an id and a unit, such as "3:0"');
      return { bus: "scsi", id: Number(id), lun: Number(lun) };
    }
    case DRIVERS.ccw:
      if (!CCW.test(source)) throw refuse('a CCW id, such as "0.0.0001"');
      return { bus: "ccw", id: source };
  }
}

function nodeAt(path: string, refuse: (rule: string) => KataError): DiskAddress {
  if (!NODE.test(path)) throw refuse('a device node, such as "/dev/vdb"');
  return { bus: "mmio", path };
}
