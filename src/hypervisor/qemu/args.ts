/** QEMU's command line: a pure function of the machine's description, one function per switch, named as QEMU does. @module */
import { HOST_KEY_FILE } from "../../agent_api/names.ts";
import type { QemuTable } from "../vm_config.ts";
import type { DeviceObjects } from "./device_objects.ts";
import { machineKind, machineType } from "./machine_kinds.ts";
import { keyval } from "./props.ts";

/** Everything that QEMU is told at its start, decided. */
export interface Machine {
  /** The sandbox's id. */
  id: string;
  config: QemuTable;
  accelerator: "kvm" | "tcg";
  /** Path, or empty for QEMU's own. */
  firmware: string;
  /** The kernel's command line. */
  append: string;
  /** Paths that QEMU can read. */
  kernel: string;
  initrd?: string | undefined;
  /** Descriptors of connections: for QMP, and where the console's output goes. */
  qmpFd: number;
  consoleFd: number;
  memory: MemorySize;
  /** The file that is the memory, of the memory's size; else an anonymous one. */
  memoryFile?: string | undefined;
  /** Waits for a saved state (`migrate-incoming`) instead of booting. */
  incoming?: boolean | undefined;
  vcpus: VcpuCount;
  /** In the order in which the guest shall number them. */
  devices: readonly DeviceObjects[];
  /** Descriptors that disks name as `/dev/fdset/1`, `/dev/fdset/2` and so on. */
  fdSets: readonly string[];
  /** A file with the key by which the host proves itself to the guest. */
  hostKeyFile?: string | undefined;
}

/** Sizes in MiB. Without slots nothing can be added. */
export interface MemorySize {
  sizeMiB: number;
  maxMiB: number;
  slots: number;
}

export interface VcpuCount {
  count: number;
  max: number;
}

const MEMORY_BACKEND = "mem";

/** The arguments after the emulator's name. */
export function qemuArgs(machine: Machine): string[] {
  return [
    ...name(machine),
    "-no-user-config",
    "-nodefaults",
    ...["-display", "none"],
    "-no-reboot",
    ...sandbox(machine),
    ...machineOptions(machine),
    ...accel(machine),
    ...cpu(machine),
    ...smp(machine),
    ...memory(machine),
    ...["-rtc", "base=utc,clock=host"],
    ...bios(machine),
    ...kernel(machine),
    ...serial(machine),
    ...mon(machine),
    ...hostKey(machine),
    ...globals(machine),
    ...machine.fdSets.flatMap((fd, index) => ["-add-fd", `fd=${fd},set=${index + 1}`]),
    ...machine.devices.flatMap(device),
    ...(machine.incoming ? ["-incoming", "defer"] : []),
  ];
}

function name({ id }: Machine): string[] {
  return ["-name", keyval({ guest: `sandbox-${id}`, "debug-threads": true })];
}

function sandbox({ config }: Machine): string[] {
  return config.seccomp_sandbox === "" ? [] : ["-sandbox", config.seccomp_sandbox];
}

function machineOptions({ config }: Machine): string[] {
  const { options: switches } = machineKind(config);
  const options = keyval({ type: machineType(config), ...switches, "memory-backend": MEMORY_BACKEND });
  const more = config.machine_accelerators.replace(/^,+|,+$/g, "");
  return ["-machine", more === "" ? options : `${options},${more}`];
}

function accel({ accelerator }: Machine): string[] {
  return ["-accel", accelerator === "kvm" ? "kvm" : keyval({ accel: "tcg", thread: "multi" })];
}

function cpu({ accelerator, config }: Machine): string[] {
  const { host, emulated } = machineKind(config).cpu;
  const model = accelerator === "kvm" ? host : emulated;
  return ["-cpu", config.cpu_features === "" ? model : `${model},${config.cpu_features}`];
}

function smp({ vcpus }: Machine): string[] {
  const { count, max } = vcpus;
  return ["-smp", keyval({ cpus: count, sockets: max, cores: 1, threads: 1, maxcpus: max })];
}

/** Memory is a shared file, because virtiofsd and the vsock daemon must see it. */
function memory({ memory: { sizeMiB, maxMiB, slots }, memoryFile = "", config }: Machine): string[] {
  const size = keyval({
    size: `${sizeMiB}M`,
    slots: slots > 0 ? slots : undefined,
    maxmem: slots > 0 ? `${maxMiB}M` : undefined,
  });
  const path = memoryFile || config.file_mem_backend;
  const onDisk = path !== "";
  const backend = keyval({
    "qom-type": onDisk ? "memory-backend-file" : "memory-backend-memfd",
    id: MEMORY_BACKEND,
    size: `${sizeMiB}M`,
    "mem-path": onDisk ? path : undefined,
    share: true,
    hugetlb: config.enable_hugepages && !onDisk ? true : undefined,
    prealloc: config.enable_mem_prealloc || config.enable_hugepages ? true : undefined,
  });
  return ["-m", size, "-object", backend];
}

function bios({ firmware }: Machine): string[] {
  return firmware === "" ? [] : ["-bios", firmware];
}

function kernel({ kernel, initrd, append }: Machine): string[] {
  return ["-kernel", kernel, ...(initrd === undefined ? [] : ["-initrd", initrd]), "-append", append];
}

/** A socket, never a file, which a guest could fill. QEMU does not wait for a reader, and drops the output when it is gone. */
function serial({ consoleFd }: Machine): string[] {
  return ["-chardev", keyval({ backend: "socket", id: "console", fd: consoleFd }), "-serial", "chardev:console"];
}

/** A connection that is there already: nobody else can make one. `-mon` says the same, but is announced as removed. */
function mon({ qmpFd }: Machine): string[] {
  const chardev = keyval({ backend: "socket", id: "qmp", fd: qmpFd });
  return ["-chardev", chardev, "-qmp", "chardev:qmp"];
}

/** By a file, as everybody may read our arguments. */
function hostKey({ hostKeyFile, config }: Machine): string[] {
  if (hostKeyFile === undefined) return [];
  if (machineKind(config).keys === "smbios") return ["-smbios", `type=11,path=${hostKeyFile}`];
  return ["-fw_cfg", keyval({ name: HOST_KEY_FILE, file: hostKeyFile })];
}

/** Devices with queues of QEMU's own, except the network's. */
const NOTIFIED_DRIVERS = ["virtio-blk-pci", "virtio-rng-pci", "virtio-scsi-pci", "virtio-serial-pci"];

/**
 * An emulated vCPU is a thread of QEMU already, and may as well do what the guest's driver asks for. By default it would
 * wake the main loop with a descriptor per queue, and that loop, which carries each packet, would wait on all of them.
 */
function globals({ accelerator }: Machine): string[] {
  return accelerator === "kvm" ? [] : NOTIFIED_DRIVERS.flatMap((driver) => ["-global", `${driver}.ioeventfd=off`]);
}

function device({ object, chardev, blockdev, netdev, devices }: DeviceObjects): string[] {
  return [
    ...(object ? ["-object", keyval(object)] : []),
    ...(chardev ? ["-chardev", keyval(chardev)] : []),
    ...(blockdev ? ["-blockdev", keyval(blockdev)] : []),
    ...(netdev ? ["-netdev", keyval(netdev)] : []),
    ...devices.flatMap((props) => ["-device", keyval(props)]),
  ];
}
