/** QEMU's objects for each kind of device: a back end on the host's side, a front end on the guest's. Pure. @module */
import type { BlockDevice, NetDevice, ShareFsDevice } from "../device.ts";
import type { QemuTable } from "../vm_config.ts";
import type { Props } from "./props.ts";

/** One device, in the order in which QEMU must hear of it. */
export interface DeviceObjects {
  object?: Props;
  chardev?: Props;
  blockdev?: Props;
  netdev?: Props;
  /** Front ends; the first is the device itself. */
  devices: readonly Props[];
}

/** Where a front end sits. */
export type Slot = { bus: string; addr: string };

/** A slot of the root bus, given by two hex digits, and by its function if that is not 0. */
export function onRootBus(slot: string): Slot {
  return { bus: "pcie.0", addr: `0x${slot}` };
}

/** Behind a root port there is one slot. */
export function onPort(port: string): Slot {
  return { bus: port, addr: "0x0" };
}

export interface BlockOptions {
  config: QemuTable;
  /** Whether the path is a block device of the host. */
  isHostDevice: boolean;
  /** The set of descriptors that stands for the disk's file, as QEMU may not open that by itself. */
  fdSet: number;
}

/**
 * A disk's nodes: the format on top of the file. Read-only disks are so on both nodes (B18) and take no exclusive lock,
 * so that a snapshotter which holds the file, or another VM, does not conflict (B19).
 */
export function blockNode(disk: BlockDevice, { config, isHostDevice, fdSet }: BlockOptions): Props {
  const access = disk.readOnly ? { "read-only": true, "force-share": true } : {};
  const cache = config.block_device_cache_set
    ? { cache: { direct: config.block_device_cache_direct, "no-flush": config.block_device_cache_noflush } }
    : {};
  const file = {
    driver: isHostDevice ? "host_device" : "file",
    filename: `/dev/fdset/${fdSet}`,
    aio: config.block_device_aio,
    ...access,
    ...cache,
  };
  return { driver: "raw", "node-name": nodeName(disk.id), ...access, ...cache, file };
}

/** The name under which QEMU knows a disk's top node. */
export function nodeName(id: string): string {
  return `drive-${id}`;
}

/** A disk on PCI. A disk is read-only because its node is: the front end has no switch of its own. */
export function virtioBlk(disk: BlockDevice, options: BlockOptions & { slot: Slot }): DeviceObjects {
  const device = {
    driver: "virtio-blk-pci",
    id: disk.id,
    ...options.slot,
    drive: nodeName(disk.id),
    serial: disk.serial,
  };
  return { blockdev: blockNode(disk, options), devices: [device] };
}

/** A disk on the SCSI controller. */
export function scsiDisk(
  disk: BlockDevice,
  options: BlockOptions & { address: { id: number; lun: number } },
): DeviceObjects {
  const { id, lun } = options.address;
  const device = {
    driver: "scsi-hd",
    id: disk.id,
    bus: `${SCSI_CONTROLLER}.0`,
    "scsi-id": id,
    lun,
    drive: nodeName(disk.id),
    serial: disk.serial,
  };
  return { blockdev: blockNode(disk, options), devices: [device] };
}

export const SCSI_CONTROLLER = "scsi0";

export function scsiController(slot: Slot): DeviceObjects {
  return { devices: [{ driver: "virtio-scsi-pci", id: SCSI_CONTROLLER, ...slot }] };
}

/** Names of a card's queues: descriptor numbers at the start, names given by `getfd` later. */
export interface NetQueues {
  tap: readonly string[];
  vhost: readonly string[];
}

export function virtioNet(card: NetDevice, { queues, slot }: { queues: NetQueues; slot: Slot }): DeviceObjects {
  const hasVhost = queues.vhost.length > 0;
  const netdev = {
    type: "tap",
    id: netdevName(card.id),
    fds: queues.tap.join(":"),
    vhost: hasVhost,
    vhostfds: hasVhost ? queues.vhost.join(":") : undefined,
  };
  const isMultiqueue = queues.tap.length > 1;
  const device = {
    driver: "virtio-net-pci",
    id: card.id,
    ...slot,
    netdev: netdev.id,
    mac: card.mac,
    mq: isMultiqueue ? true : undefined,
    // Two vectors per queue pair, one for configuration, one for control.
    vectors: isMultiqueue ? 2 * queues.tap.length + 2 : undefined,
    // A boot ROM is of no use and must be found in QEMU's data directory.
    romfile: "",
  };
  return { netdev, devices: [device] };
}

export function netdevName(id: string): string {
  return `netdev-${id}`;
}

/** The name under which QEMU knows the connection to a share's daemon. */
export function chardevName(id: string): string {
  return `char-${id}`;
}

export interface ShareFsOptions {
  /** The connection to its daemon: a descriptor's number, or the name that it was sent by. */
  socketFd: string;
  queueSize: number;
  slot: Slot;
}

export function shareFs(share: ShareFsDevice, { socketFd, queueSize, slot }: ShareFsOptions): DeviceObjects {
  const chardev = { backend: "socket", id: chardevName(share.id), fd: socketFd };
  const device = {
    driver: "vhost-user-fs-pci",
    id: share.id,
    ...slot,
    chardev: chardev.id,
    tag: share.tag,
    "queue-size": queueSize,
  };
  return { chardev, devices: [device] };
}

/** @param vhostFd Descriptor of `/dev/vhost-vsock` that holds the context id. */
export function vhostVsock(options: { cid: number; vhostFd: string; slot: Slot }): DeviceObjects {
  const { cid, vhostFd, slot } = options;
  return { devices: [{ driver: "vhost-vsock-pci", id: "vsock0", ...slot, vhostfd: vhostFd, "guest-cid": cid }] };
}

/** @param socketFd The connection to the daemon. */
export function vhostUserVsock({ socketFd, slot }: { socketFd: string; slot: Slot }): DeviceObjects {
  const chardev = { backend: "socket", id: "char-vsock0", fd: socketFd };
  return { chardev, devices: [{ driver: "vhost-user-vsock-pci", id: "vsock0", ...slot, chardev: chardev.id }] };
}

/** Port 0 is for consoles, so ours is the second and last: QEMU would watch two queues for each of 31 ports. */
const SERIAL_PORTS = 2;

/** One named port; the host connects when it likes. @param socketFd A socket that listens. */
export function serialPort({ socketFd, name, slot }: { socketFd: string; name: string; slot: Slot }): DeviceObjects {
  const chardev = { backend: "socket", id: "char-agent", fd: socketFd, server: true, wait: false };
  const controller = { driver: "virtio-serial-pci", id: "serial0", ...slot, max_ports: SERIAL_PORTS };
  const port = { driver: "virtserialport", id: "agent", bus: "serial0.0", chardev: chardev.id, name };
  return { chardev, devices: [controller, port] };
}

export function rng({ source, slot }: { source: string; slot: Slot }): DeviceObjects {
  return {
    object: { "qom-type": "rng-random", id: "rng0", filename: source },
    devices: [{ driver: "virtio-rng-pci", id: "rng-dev0", ...slot, rng: "rng0" }],
  };
}

export function rootPort({ id, number, slot }: { id: string; number: number; slot: Slot }): DeviceObjects {
  // The guest looks for further functions only where the first one tells of them.
  const multifunction = slot.addr.includes(".") ? undefined : true;
  return { devices: [{ driver: "pcie-root-port", id, ...slot, multifunction, chassis: number, port: number }] };
}
