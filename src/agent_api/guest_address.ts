/**
 * Where the guest finds a device: the monitor tells the host, and the host tells the agent. `Storage.source` and
 * `Device.id` carry the text of it, their driver (`STORAGE_DRIVER`, `DEVICE_DRIVER`) says which kind it is; the agent looks
 * there by `agent/devices/address.ts`.
 *
 * @module
 */

export type GuestAddress =
  /** Slots from the root bus down, two hex digits each: `02/00`. */
  | { bus: "pci"; path: string }
  | { bus: "scsi"; id: number; lun: number }
  /** A disk without a bus to look on; its node as the guest's kernel names it, by the order of the disks: `/dev/vdb`. */
  | { bus: "mmio"; path: string }
  /** On s390x: `0.0.0001`. */
  | { bus: "ccw"; id: string }
  /** A shared directory, wherever its device is: the mount names the tag. */
  | { bus: "tag"; tag: string };
