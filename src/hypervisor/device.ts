/**
 * Devices of a VM, and the addresses where the guest finds them. What a device is, the sandbox says; on which bus it sits
 * and by which driver the guest sees it, the monitor decides.
 *
 * @module
 */
import type { Fd } from "../linux/io/fd.ts";

export type { GuestAddress } from "../agent_api/guest_address.ts";

/** A disk from a file or a block device of the host. */
export interface BlockDevice {
  kind: "block";
  /** Unique in the VM; letters, digits, `-` and `_`. */
  id: string;
  /** File or block device on the host. */
  path: string;
  readOnly: boolean;
  /** Shown to the guest, at most 20 bytes. */
  serial?: string;
}

/** A network card on a tap device. */
export interface NetDevice {
  kind: "net";
  id: string;
  /** Such as `02:00:00:00:00:01`. */
  mac: string;
  /** The tap's queues, opened in its network namespace. The hypervisor takes them over and closes them. */
  tapFds: readonly Fd[];
  /** One `/dev/vhost-net` per queue, or none. Taken over like the taps. */
  vhostFds: readonly Fd[];
}

/** A directory of the host in the guest, by virtio-fs. Its daemon lives and dies with the device. */
export interface ShareFsDevice {
  kind: "shareFs";
  id: string;
  /** The name that the guest mounts by. */
  tag: string;
  /** Directory on the host; it must exist. */
  source: string;
}

export type Device = BlockDevice | NetDevice | ShareFsDevice;

/** Descriptors that come with a device: whoever takes the device over closes them. */
export function descriptorsOf(device: Device): readonly Fd[] {
  return device.kind === "net" ? [...device.tapFds, ...device.vhostFds] : [];
}
