/** The keys of `[hypervisor.qemu]`. @module */
import { table } from "../key.ts";
import { HYPERVISOR_COMMON } from "./hypervisor_common.ts";

export const QEMU = table({
  path: "hypervisor.qemu",
  monitor: "qemu",
  doc: "The machine and its guest. An empty path means none.",
  keys: {
    path: {
      type: "text",
      default: "",
      doc: "The emulator. Empty: /usr/bin/qemu-system-x86_64 or, on arm64, /usr/bin/qemu-system-aarch64.",
    },
    ...HYPERVISOR_COMMON,
    vm_rootfs_driver: {
      type: "choice",
      values: ["virtio-blk-pci"],
      plannedValues: ["virtio-blk-mmio", "virtio-pmem", "nvdimm"],
      default: "virtio-blk-pci",
      doc: "How the image reaches the guest.",
    },
    firmware: {
      type: "text",
      default: "",
      doc: "Empty: qboot where QEMU brings it, because it is 0.2 s faster than QEMU's default firmware.",
    },
    machine_type: {
      type: "choice",
      values: ["auto", "q35", "virt"],
      default: "auto",
      doc:
        "The kind of machine: q35 is of x86-64, virt of arm64 and has the size of its start for good. auto: as the host is.",
    },
    machine_accelerators: {
      type: "text",
      default: "",
      doc: "Options appended to -machine, such as nosmm,nosmbus.",
    },
    cpu_features: {
      type: "text",
      default: "",
      doc: "Appended to the model of the CPU, such as pmu=off; on KVM it is the host's without vmx and svm.",
    },
    accelerator: {
      type: "choice",
      ours: true,
      values: ["auto", "kvm", "tcg"],
      default: "auto",
      doc:
        "auto: KVM if /dev/kvm opens and the CPU shows vmx or svm, else tcg, which emulates in software: slow, but " +
        "it needs nothing.",
    },
    enable_mem_prealloc: { type: "boolean", default: false, doc: "Allocates all memory at the start." },
    enable_hugepages: {
      type: "boolean",
      default: false,
      doc: "Takes the memory from the host's huge pages; all is allocated at the start then.",
    },
    file_mem_backend: {
      type: "text",
      default: "",
      doc: "Directory of the file behind the guest's memory; empty: an anonymous memory file.",
    },
    block_device_driver: {
      type: "choice",
      values: ["virtio-scsi", "virtio-blk-pci"],
      renamedValues: { "virtio-blk": "virtio-blk-pci" },
      default: "virtio-scsi",
      doc: "How the guest sees the containers' disks.",
    },
    block_device_aio: {
      type: "choice",
      values: ["threads", "native", "io_uring"],
      default: "threads",
      doc: "How QEMU reads and writes disks.",
    },
    block_device_cache_set: {
      type: "boolean",
      default: false,
      doc: "Whether block_device_cache_direct and block_device_cache_noflush count; else QEMU decides.",
    },
    block_device_cache_direct: {
      type: "boolean",
      default: false,
      doc: "Bypasses the host's page cache (O_DIRECT).",
    },
    block_device_cache_noflush: { type: "boolean", default: false, doc: "Ignores the guest's flushes." },
    pcie_root_port: {
      type: "integer",
      min: 0,
      max: 16,
      default: 1,
      doc: "Ports kept free for devices other than SCSI disks that are plugged while the machine runs, besides those " +
        "for network cards; each costs an emulated guest 10 ms of its boot.",
    },
    agent_transport: {
      type: "choice",
      ours: true,
      values: ["auto", "vsock", "hybrid-vsock", "virtio-serial"],
      default: "auto",
      doc:
        "How the runtime reaches the agent. auto: vsock where /dev/vhost-vsock exists; else hybrid-vsock where its " +
        "daemon exists; else virtio-serial, which needs nothing on the host.",
    },
    vhost_vsock_daemon: {
      type: "text",
      ours: true,
      default: "/usr/bin/vhost-device-vsock",
      doc: "The program behind hybrid-vsock.",
    },
    seccomp_sandbox: {
      type: "text",
      default: "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
      renamedFrom: ["hypervisor.qemu.seccompsandbox"],
      doc: "QEMU's own system call filter (-sandbox); empty: none.",
    },
    own_user: {
      type: "boolean",
      ours: true,
      default: true,
      doc: "Runs QEMU as a user of its own for each machine: a number from 0x70000000 to 0x7fffffff, drawn at each " +
        "start, that no account should have. What it works on is opened for it. If that user cannot get to the " +
        "program itself, /dev/kvm or the guest's kernel, QEMU stays root, without capabilities, and the log says why.",
    },
  },
});
