/** From configuration and devices to QEMU's machine: what sits where, under which number. Pure. @module */
import { Fd, O_RDONLY } from "../../linux/io/fd.ts";
import { connectUnix, listenUnix } from "../../linux/net/socket.ts";
import { AGENT_SERIAL_PORT } from "../../agent_api/names.ts";
import { type AgentChannel, listenParams } from "../common/agent_channel.ts";
import type { BlockDevice, Device, NetDevice } from "../device.ts";
import { openDisk } from "../common/disks.ts";
import { kernelCommandLine } from "../common/kernel_params.ts";
import { LATE_CARD_PORTS, PcieTopology } from "../common/topology.ts";
import { vmFiles } from "../common/vm_files.ts";
import type { MachineSize, QemuTable, VmConfig } from "../vm_config.ts";
import type { Machine } from "./args.ts";
import * as objects from "./device_objects.ts";
import { machineKind } from "./machine_kinds.ts";

/** Standard streams come first, then QEMU's ends of the connections for QMP and for the console. */
export const QMP_FD = 3;
export const CONSOLE_FD = 4;
const FIRST_PASSED_FD = 5;

/** The image is the first virtio disk. */
const ROOT_DEVICE = "/dev/vda";

/** Input of the plan. */
export interface PlanInput {
  id: string;
  config: QemuTable;
  vm: VmConfig;
  accelerator: "kvm" | "tcg";
  firmware: string;
  runDir: string;
  channel: AgentChannel;
  /** With a vsock channel: `/dev/vhost-vsock`, which holds the context id, or the connection to the daemon. */
  vhostVsock?: Fd | undefined;
  /** A file that holds the channel's key. */
  hostKey?: Fd | undefined;
  /** Words for the guest's kernel about its clock. */
  clockParams?: readonly string[];
  /** Root ports for hotplug; default: `pcie_root_port` of the configuration and those for late cards. */
  rootPorts?: number | undefined;
  /** The file that is the memory: its path, or what opens it. */
  memoryFile?: string | (() => Fd) | undefined;
  incoming?: boolean | undefined;
  /** Whether a disk's path is a block device of the host. */
  isHostDevice(path: string): boolean;
}

export interface Plan {
  machine: Machine;
  bus: PcieTopology;
  /** Descriptors that QEMU inherits. It may run as another user, so it opens nothing in a place of root's. */
  fds: readonly PassedFd[];
}

export interface PassedFd {
  /** Number of the descriptor in QEMU. */
  child: number;
  /** Called when QEMU starts; the descriptor belongs to the caller. */
  open(): Fd;
}

/**
 * Decides everything about a VM before it starts. The image is the first disk, so that the guest calls it `/dev/vda`.
 */
export function planMachine(input: PlanInput): Plan {
  const bus = new PcieTopology();
  const fds: PassedFd[] = [];
  const inherit = (open: () => Fd) => {
    const child = FIRST_PASSED_FD + fds.length;
    fds.push({ child, open });
    return String(child);
  };
  const fdSets: string[] = [];
  const planner = { input, bus, inherit, fdSets };
  const { config, vm, id, accelerator, firmware } = input;
  const devices = [
    ...rootDisk(planner),
    channelObjects(planner),
    objects.rng({ source: config.entropy_source, slot: objects.onRootBus(bus.assign("rng-dev0")) }),
    ...scsi(planner),
    ...vm.devices.map((device) => coldObjects(planner, device)),
    ...ports(planner),
  ];
  const { console, architecture } = machineKind(config);
  const more = [...listenParams(input.channel), ...input.clockParams ?? []];
  const append = kernelCommandLine(vm, { rootDevice: ROOT_DEVICE, console, architecture, more });
  const { incoming, hostKey } = input;
  const { initrd } = vm;
  const fileOf = (open: () => Fd) => `/proc/self/fd/${inherit(open)}`;
  const memoryFile = typeof input.memoryFile === "function" ? fileOf(input.memoryFile) : input.memoryFile;
  const files = {
    kernel: fileOf(() => Fd.open(vm.kernel, O_RDONLY)),
    initrd: initrd === undefined ? undefined : fileOf(() => Fd.open(initrd, O_RDONLY)),
    hostKeyFile: hostKey && fileOf(() => hostKey),
  };
  return {
    machine: {
      ...{ id, config, accelerator, firmware, append, memoryFile, incoming, devices, fdSets },
      ...files,
      ...{ qmpFd: QMP_FD, consoleFd: CONSOLE_FD },
      ...sizes(vm.size, config),
    },
    bus,
    fds,
  };
}

interface Planner {
  input: PlanInput;
  bus: PcieTopology;
  /** Has QEMU inherit a descriptor; returns its number there, as text. */
  inherit(open: () => Fd): string;
  /** Numbers of descriptors that stand for a disk's file each; its index here, from 1, is the name of the set. */
  fdSets: string[];
}

/** Without a slot nothing can be plugged later; such a machine boots faster. */
function sizes(
  { vcpus, maxVcpus, memoryMiB, maxMemoryMiB }: MachineSize,
  config: QemuTable,
): Pick<Machine, "memory" | "vcpus"> {
  if (!machineKind(config).grows) {
    return { vcpus: { count: vcpus, max: vcpus }, memory: { sizeMiB: memoryMiB, maxMiB: memoryMiB, slots: 0 } };
  }
  const { memory_slots: slots } = config;
  return {
    vcpus: { count: vcpus, max: maxVcpus },
    memory: { sizeMiB: memoryMiB, maxMiB: maxMemoryMiB, slots: maxMemoryMiB > memoryMiB ? slots : 0 },
  };
}

function rootDisk(planner: Planner): objects.DeviceObjects[] {
  const { image } = planner.input.vm;
  if (image === undefined) return [];
  const disk: BlockDevice = { kind: "block", id: "root", path: image.path, readOnly: true };
  return [virtioBlk(planner, disk)];
}

function virtioBlk({ input, bus, inherit, fdSets }: Planner, disk: BlockDevice): objects.DeviceObjects {
  const slot = objects.onRootBus(bus.assign(disk.id));
  const fdSet = fdSets.push(inherit(() => openDisk(disk)));
  const isHostDevice = input.isHostDevice(disk.path);
  return objects.virtioBlk(disk, { config: input.config, isHostDevice, slot, fdSet });
}

function channelObjects({ input, bus, inherit }: Planner): objects.DeviceObjects {
  const { channel, vhostVsock } = input;
  const slot = objects.onRootBus(bus.assign("channel"));
  switch (channel.kind) {
    case "vsock":
      return objects.vhostVsock({ cid: channel.cid, vhostFd: inherit(() => given(vhostVsock)), slot });
    case "hybrid-vsock":
      return objects.vhostUserVsock({ socketFd: inherit(() => given(vhostVsock)), slot });
    case "virtio-serial": {
      const socketFd = inherit(() => listenUnix(channel.socket));
      return objects.serialPort({ socketFd, name: AGENT_SERIAL_PORT, slot });
    }
  }
}

function given(fd: Fd | undefined): Fd {
  if (fd === undefined) throw new TypeError("Cannot plan a vsock channel without its descriptor");
  return fd;
}

function scsi({ input, bus }: Planner): objects.DeviceObjects[] {
  if (input.config.block_device_driver !== "virtio-scsi") return [];
  return [objects.scsiController(objects.onRootBus(bus.assign(objects.SCSI_CONTROLLER)))];
}

function coldObjects(planner: Planner, device: Device): objects.DeviceObjects {
  switch (device.kind) {
    case "block":
      return virtioBlk(planner, device);
    case "net":
      return netObjects(planner, device);
    case "shareFs":
      return objects.shareFs(device, {
        socketFd: planner.inherit(() => connectUnix(vmFiles(planner.input.runDir).share(device.id))),
        queueSize: planner.input.config.virtio_fs_queue_size,
        slot: objects.onRootBus(planner.bus.assign(device.id)),
      });
  }
}

function netObjects({ bus, inherit }: Planner, card: NetDevice): objects.DeviceObjects {
  const queues = {
    tap: card.tapFds.map((fd) => inherit(() => fd)),
    vhost: card.vhostFds.map((fd) => inherit(() => fd)),
  };
  return objects.virtioNet(card, { queues, slot: objects.onRootBus(bus.assign(card.id)) });
}

function ports({ input, bus }: Planner): objects.DeviceObjects[] {
  return Array.from({ length: input.rootPorts ?? input.config.pcie_root_port + LATE_CARD_PORTS }, () => {
    const { id, number, slot } = bus.addPort();
    return objects.rootPort({ id, number, slot: objects.onRootBus(slot) });
  });
}
