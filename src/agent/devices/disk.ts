/** Disks, by the addresses that the host says. @module */
import type { DiskAddress } from "../../agent_api/disk_address.ts";
import { retry } from "../../base/async.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_EXCL, O_RDONLY } from "../../linux/io/fd.ts";
import { namesIn } from "./address.ts";
import { pciDevice } from "./pci.ts";

/** Where to look; tests have directories of their own. */
export interface Roots {
  /** `/sys` */
  sys: string;
  /** `/dev` */
  dev: string;
}

const VIRTIO = /^virtio\d+$/;

/** The disk's node, such as `/dev/sda`; undefined as long as there is none. */
export function diskAt(at: DiskAddress, { sys, dev }: Roots): string | undefined {
  const name = at.bus === "mmio"
    ? at.path.slice("/dev/".length)
    : devicesAt(at, sys).flatMap((device) => namesIn(`${device}/block`)).at(0);
  return name !== undefined && canBeOpened(`${dev}/${name}`) ? `${dev}/${name}` : undefined;
}

/** The kernel makes the device first, then its node, and last it lets it be used. */
function canBeOpened(node: string): boolean {
  try {
    Fd.open(node, O_RDONLY)[Symbol.dispose]();
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENXIO", "ENODEV")) return false;
    throw error;
  }
}

/** Directories in sysfs of devices that may be the disk. */
function devicesAt(at: Exclude<DiskAddress, { bus: "mmio" }>, sys: string): string[] {
  switch (at.bus) {
    case "pci": {
      const card = pciDevice(at.path, sys);
      return card === undefined ? [] : [card, ...childrenOf(card, VIRTIO)];
    }
    case "ccw":
      return childrenOf(`${sys}/bus/ccw/devices/${at.id}`, VIRTIO);
    case "scsi":
      // Controllers count from 0 in the order in which the kernel has found them.
      return childrenOf(`${sys}/bus/scsi/devices`, new RegExp(String.raw`^\d+:0:${at.id}:${at.lun}$`));
  }
}

function childrenOf(directory: string, matching: RegExp): string[] {
  return namesIn(directory).filter((name) => matching.test(name)).map((name) => `${directory}/${name}`);
}

/** Modules without which the kernel sees no disk at an address; the guest's image loads them only when there is one. */
export function modulesFor(at: DiskAddress, { sys }: Pick<Roots, "sys">): readonly string[] {
  return at.bus === "scsi" && namesIn(`${sys}/class/scsi_host`).length === 0 ? ["virtio_scsi", "sd_mod"] : [];
}

/** Asks the controllers for a disk of which the kernel has not heard, as when it was plugged in before they were found. */
export function askForDisk(at: DiskAddress, { sys }: Pick<Roots, "sys">): void {
  if (at.bus !== "scsi") return;
  for (const host of childrenOf(`${sys}/class/scsi_host`, /^host\d+$/)) {
    Deno.writeTextFileSync(`${host}/scan`, `0 ${at.id} ${at.lun}`);
  }
}

/** A file system that nothing uses any more is gone in less; its last pages may still be on their way. */
const LET_GO_MS = 10_000;
const LOOK_AGAIN_MS = 10;

/**
 * Waits until the kernel has written all to a disk and let go of it, and takes the disk out of the kernel where that is not
 * done by pulling it. The host may then unplug it.
 *
 * @throws {ErrnoError} EBUSY: it is still in use after some seconds.
 */
export async function letGoOfDisk(node: string, at: DiskAddress, { sys }: Pick<Roots, "sys">): Promise<void> {
  const options = { signal: AbortSignal.timeout(LET_GO_MS), everyMs: LOOK_AGAIN_MS };
  await retry(() => Fd.open(node, O_RDONLY | O_EXCL)[Symbol.dispose](), options);
  if (at.bus !== "scsi") return;
  // Else another disk at this address may be taken for this one.
  for (const device of devicesAt(at, sys)) Deno.writeTextFileSync(`${device}/delete`, "1");
}
