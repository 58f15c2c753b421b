/** From configuration and devices to QEMU's machine: what sits where, under which number. Pure. @module */
import { Fd, O_RDONLY } from "../../linux/io/fd.ts";
import { connectUnix, listenUnix } from "../../linux/net/socket.ts";
import { AGENT_SERIAL_PORT } from "../../agent_api/names.ts";
import { type AgentChannel, listenParams } from "../common/agent_channel.ts";
import type { BlockDevice, Device, NetDevice } from "../device.ts";
import { openDisk } from "../common/disks.ts";
import { kernelCommandLine } from "../common/kernel_params.ts";
import { PcieTopology } from "../common/topology.ts";
import { vmFiles } from "../common/vm_files.ts";
import type { MachineSize, QemuTable, VmConfig } from "../vm_config.ts";
import type { Machine } from "./args.ts";
import * as parts from "./device_objects.ts";

/** Standard streams come first, then the monitor's and the console's ends of a connection each. */
export const QMP_FD = 3;
export const CONSOLE_FD = 4;
const FIRST_PASSED_FD = 5;

/** The image is the first virtio disk. */
const ROOT_DEVICE = "/dev/vda";
/** The first serial port. */
const CONSOLE = "ttyS0";

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
  /** Root ports for hotplug; default: `pcie_root_port` of the configuration. */
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
    channelParts(planner),
    parts.rng({ source: config.entropy_source, place: parts.onRootBus(bus.place("rng-dev0")) }),
    ...scsi(planner),
    ...vm.devices.map((device) => coldParts(planner, device)),
    ...ports(planner),
  ];
  const more = [...listenParams(input.channel), ...input.clockParams ?? []];
  const append = kernelCommandLine(vm, { rootDevice: ROOT_DEVICE, console: CONSOLE, more });
  const { incoming, hostKey } = input;
  const { initrd } = vm;
  const fileOf = (open: () => Fd) => `/proc/self/fd/${inherit(open)}`;
  const memoryFile = typeof input.memoryFile === "function" ? fileOf(input.memoryFile) : input.memoryFile;
  const files = {
    kernel: fileOf(() => Fd.open(vm.kernel, O_RDONLY)),
    initrd: initrd === undefined ? undefined : fileOf(() => Fd.open(initrd, O_RDONLY)),
    oemStringFile: hostKey && fileOf(() => hostKey),
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
  /** Numbers of descriptors that stand for a disk's file each; its place here, from 1, is the name of the set. */
  fdSets: string[];
}

/** Without a slot nothing can be plugged later; such a machine boots faster. */
function sizes(
  { vcpus, maxVcpus, memoryMiB, maxMemoryMiB }: MachineSize,
  { memory_slots: slots }: QemuTable,
): Pick<Machine, "memory" | "vcpus"> {
  return {
    vcpus: { count: vcpus, max: maxVcpus },
    memory: { sizeMiB: memoryMiB, maxMiB: maxMemoryMiB, slots: maxMemoryMiB > memoryMiB ? slots : 0 },
  };
}

function rootDisk(planner: Planner): parts.Parts[] {
  const { image } = planner.input.vm;
  if (image === undefined) return [];
  const disk: BlockDevice = { kind: "block", id: "root", path: image.path, readOnly: true, format: "raw" };
  return [virtioBlk(planner, disk)];
}

function virtioBlk({ input, bus, inherit, fdSets }: Planner, disk: BlockDevice): parts.Parts {
  const place = parts.onRootBus(bus.place(disk.id));
  const fdSet = fdSets.push(inherit(() => openDisk(disk)));
  const isHostDevice = input.isHostDevice(disk.path);
  return parts.virtioBlk(disk, { config: input.config, isHostDevice, place, fdSet });
}

function channelParts({ input, bus, inherit }: Planner): parts.Parts {
  const { channel, vhostVsock } = input;
  const place = parts.onRootBus(bus.place("channel"));
  switch (channel.kind) {
    case "vsock":
      return parts.vhostVsock({ cid: channel.cid, vhostFd: inherit(() => given(vhostVsock)), place });
    case "hybrid-vsock":
      return parts.vhostUserVsock({ socketFd: inherit(() => given(vhostVsock)), place });
    case "virtio-serial": {
      const socketFd = inherit(() => listenUnix(channel.socket));
      return parts.serialPort({ socketFd, name: AGENT_SERIAL_PORT, place });
    }
  }
}

function given(fd: Fd | undefined): Fd {
  if (fd === undefined) throw new TypeError("Cannot plan a vsock channel without its descriptor");
  return fd;
}

function scsi({ input, bus }: Planner): parts.Parts[] {
  if (input.config.block_device_driver !== "virtio-scsi") return [];
  return [parts.scsiController(parts.onRootBus(bus.place(parts.SCSI_CONTROLLER)))];
}

function coldParts(planner: Planner, device: Device): parts.Parts {
  switch (device.kind) {
    case "block":
      return virtioBlk(planner, device);
    case "net":
      return netParts(planner, device);
    case "shareFs":
      return parts.shareFs(device, {
        socketFd: planner.inherit(() => connectUnix(vmFiles(planner.input.runDir).share(device.id))),
        queueSize: planner.input.config.virtio_fs_queue_size,
        place: parts.onRootBus(planner.bus.place(device.id)),
      });
  }
}

function netParts({ bus, inherit }: Planner, card: NetDevice): parts.Parts {
  const queues = {
    tap: card.tapFds.map((fd) => inherit(() => fd)),
    vhost: card.vhostFds.map((fd) => inherit(() => fd)),
  };
  return parts.virtioNet(card, { queues, place: parts.onRootBus(bus.place(card.id)) });
}

function ports({ input, bus }: Planner): parts.Parts[] {
  return Array.from({ length: input.rootPorts ?? input.config.pcie_root_port }, () => {
    const { id, number, slot } = bus.addPort();
    return parts.rootPort({ id, number, place: parts.onRootBus(slot) });
  });
}
