/**
 * The keys of `[hypervisor.qemu]`: type, default, unit and meaning of each. Names are those of Kata's file, so that one
 * word finds a setting in the file, here and where it is used.
 *
 * @module
 */
import * as v from "valibot";
import { count, off, on, strings, text } from "./fields.ts";

/** `[hypervisor.qemu]`. An empty path means "none" or, for `path`, the emulator found on the usual places. */
export const qemuSchema = v.object({
  /** The emulator. */
  path: v.optional(v.string(), "/usr/bin/qemu-system-x86_64"),
  /** Guest kernel; an uncompressed vmlinux boots fastest (PVH). */
  kernel: v.optional(v.string(), "/usr/share/kata/vmlinux"),
  /** Root file system image, attached read-only. Without it the `initrd` is the whole guest. */
  image: text,
  /** With `image`: the early user space that mounts it. Alone: the whole guest. */
  initrd: text,
  /** File system of `image`. */
  rootfs_type: v.optional(v.picklist(["ext4", "xfs", "erofs"]), "erofs"),
  /** How `image` reaches the guest. */
  vm_rootfs_driver: v.optional(v.picklist(["virtio-blk-pci"]), "virtio-blk-pci"),
  /** Added to the command line; each beats the default of the same name. Separated by spaces. */
  kernel_params: text,
  /** Firmware; empty: qboot where QEMU has it (it boots 0.2 s faster), else QEMU's own. */
  firmware: text,
  machine_type: v.optional(v.picklist(["q35"]), "q35"),
  /** Machine options, such as `nosmm,nosmbus`, appended to `-machine`. */
  machine_accelerators: text,
  /** Appended to the CPU model, such as `pmu=off`. */
  cpu_features: text,
  /** Ours. `auto` takes KVM if `/dev/kvm` opens and the CPU shows vmx or svm, else software emulation. */
  accelerator: v.optional(v.picklist(["auto", "kvm", "tcg"]), "auto"),

  /** Annotations of a pod that may change this file's values: regular expressions of their base names. */
  enable_annotations: v.optional(v.array(v.string()), ["kernel_params", "default_vcpus", "default_memory"]),
  /** Globs of what the `path` annotation may be. */
  valid_hypervisor_paths: strings,

  /** vCPUs at boot; 0: one; negative: one per host CPU. A fraction is rounded up after the pod's own share is added. */
  default_vcpus: v.optional(v.number(), 1),
  /** Most vCPUs after hotplug; 0: one per host CPU. */
  default_maxvcpus: v.optional(count, 0),
  /** MiB at boot. */
  default_memory: v.optional(count, 2048),
  /** How often memory can be added while the VM runs. */
  memory_slots: v.optional(count, 10),
  /** Most MiB after hotplug; 0: what the host has. */
  default_maxmemory: v.optional(count, 0),
  /** vCPUs that emulation needs besides what the containers ask for. */
  overhead_vcpus: v.optional(v.pipe(v.number(), v.minValue(0)), 0.2),
  /** MiB that the guest's kernel and agent need besides what the containers ask for: with 80 it just boots. */
  overhead_memory: v.optional(count, 128),
  /** Allocates all memory at the start. */
  enable_mem_prealloc: off,
  /** Takes memory from the host's huge pages; implies allocation at the start. */
  enable_hugepages: off,
  /** Directory of the file that backs guest memory; empty: an anonymous memory file. */
  file_mem_backend: text,

  /** How container file systems reach the guest. */
  shared_fs: v.optional(v.picklist(["virtio-fs", "none"]), "virtio-fs"),
  virtio_fs_daemon: v.optional(v.string(), "/usr/lib/qemu/virtiofsd"),
  virtio_fs_extra_args: strings,
  virtio_fs_cache: v.optional(v.picklist(["never", "metadata", "auto", "always"]), "auto"),
  virtio_fs_queue_size: v.optional(v.pipe(count, v.minValue(2), v.maxValue(1024)), 1024),

  /** For disks of containers. `virtio-blk` is the older name of `virtio-blk-pci`. */
  block_device_driver: v.optional(
    v.pipe(
      v.picklist(["virtio-scsi", "virtio-blk-pci", "virtio-blk"]),
      v.transform((name) => name === "virtio-blk" ? "virtio-blk-pci" : name),
    ),
    "virtio-scsi",
  ),
  block_device_aio: v.optional(v.picklist(["threads", "native", "io_uring"]), "threads"),
  /** Whether the two cache settings below are passed at all. */
  block_device_cache_set: off,
  /** Bypasses the host's page cache (O_DIRECT). */
  block_device_cache_direct: off,
  /** Ignores the guest's flushes. */
  block_device_cache_noflush: off,
  /** PCIe root ports kept free for hotplug of what is no SCSI disk; each costs an emulated guest 40 ms of its boot. */
  pcie_root_port: v.optional(v.pipe(count, v.maxValue(16)), 1),
  disable_vhost_net: off,
  /** Where the guest's random numbers come from. */
  entropy_source: v.optional(v.string(), "/dev/urandom"),

  /** Ours. `auto`: vsock where `/dev/vhost-vsock` exists, else hybrid-vsock where its daemon exists, else virtio-serial. */
  agent_transport: v.optional(v.picklist(["auto", "vsock", "hybrid-vsock", "virtio-serial"]), "auto"),
  /** Ours. The `vhost-device-vsock` program, for `hybrid-vsock`. */
  vhost_vsock_daemon: v.optional(v.string(), "/usr/bin/vhost-device-vsock"),

  /** QEMU's own system call filter (`-sandbox`); empty: none. */
  seccomp_sandbox: v.optional(
    v.string(),
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
  ),
  /** Ours. Runs QEMU as a user that nothing belongs to, another one for each VM, where it can. */
  own_user: on,
  /** Verbose kernel messages on the console, and QEMU's own in the log. */
  enable_debug: off,
});

/** `[hypervisor.qemu]` as checked and with its defaults. */
export type QemuConfig = v.InferOutput<typeof qemuSchema>;
