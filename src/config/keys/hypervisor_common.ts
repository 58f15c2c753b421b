/** The keys that each table `[hypervisor.*]` has. @module */
import type { Keys } from "../key.ts";
import { VIRTIO_FS_DAEMONS } from "../virtio_fs_daemons.ts";

export const HYPERVISOR_COMMON = {
  kernel: {
    type: "text",
    default: "/usr/share/kata/vmlinux",
    doc: "The guest's kernel. An uncompressed vmlinux boots fastest (PVH).",
  },
  image: {
    type: "text",
    default: "",
    shipped: "/usr/share/kata/root.erofs",
    doc: "Root file system of the guest, attached read-only. Empty: the initrd is the whole guest.",
  },
  initrd: {
    type: "text",
    default: "",
    shipped: "/usr/share/kata/initrd.cpio",
    doc: "With an image: the early user space that mounts it. Without one: the whole guest.",
  },
  rootfs_type: {
    type: "choice",
    values: ["ext4", "xfs", "erofs"],
    default: "erofs",
    doc: "File system of the image.",
  },
  kernel_params: {
    type: "text",
    default: "",
    annotation: { name: "hypervisor.kernel_params", apply: "append" },
    doc: "Words added to the kernel's command line, parted by spaces; each beats the default of the same name. " +
      'Version 1 of cgroups in the guest: "cgroup_no_v1= systemd.unified_cgroup_hierarchy=0".',
  },
  enable_annotations: {
    type: "texts",
    default: ["kernel_params", "default_vcpus", "default_memory"],
    doc: "Which annotations io.katacontainers.config.hypervisor.* of a pod may change this table: regular " +
      "expressions of the names after that.",
  },
  valid_hypervisor_paths: {
    type: "texts",
    default: [],
    status: "planned",
    doc: "Globs of what a pod could choose as path; none can choose one today.",
  },
  default_vcpus: {
    type: "number",
    unit: "vCPUs",
    default: 1,
    annotation: { name: "hypervisor.default_vcpus", min: 0 },
    doc: "vCPUs at the boot. 0: one. Negative: as many as the host has. A fraction is rounded up after the pod's own " +
      "share is added.",
  },
  default_maxvcpus: {
    type: "integer",
    unit: "vCPUs",
    min: 0,
    default: 0,
    annotation: { name: "hypervisor.default_max_vcpus" },
    doc: "Most vCPUs after more were plugged. 0: as many as the host has.",
  },
  default_memory: {
    type: "integer",
    unit: "MiB",
    min: 0,
    default: 2048,
    annotation: { name: "hypervisor.default_memory" },
    doc: "Memory at the boot; no kernel boots with less than 64.",
  },
  default_maxmemory: {
    type: "integer",
    unit: "MiB",
    min: 0,
    default: 0,
    doc: "Most memory after more was plugged. 0: what the host has.",
  },
  memory_slots: { type: "integer", min: 0, default: 10, doc: "How often memory can be added while the machine runs." },
  overhead_vcpus: {
    type: "number",
    unit: "vCPUs",
    min: 0,
    default: 0.2,
    doc: "What the emulation needs, on top of what the containers ask for.",
  },
  overhead_memory: {
    type: "integer",
    unit: "MiB",
    min: 0,
    default: 128,
    doc: "What the guest's kernel and agent need, on top of what the containers ask for: with 80 it just boots.",
  },
  shared_fs: {
    type: "choice",
    values: ["virtio-fs"],
    plannedValues: ["none", "virtio-fs-nydus"],
    default: "virtio-fs",
    doc: "How the containers' file systems reach the guest.",
  },
  virtio_fs_daemon: {
    type: "text",
    default: "",
    doc:
      `The program that serves shared files. Empty: of ${VIRTIO_FS_DAEMONS.join(", ")} the first that is written in ` +
      "Rust; else QEMU's own, up to 7.2, with a warning that says what it cannot do.",
  },
  virtio_fs_extra_args: { type: "texts", default: [], doc: "More arguments for the daemon." },
  virtio_fs_xattr: {
    type: "boolean",
    ours: true,
    default: true,
    doc:
      "Extended attributes and file capabilities in shared files. Without them small writes are up to twice as fast, as " +
      "none asks the daemon for capabilities to take away.",
  },
  virtio_fs_cache: {
    type: "choice",
    values: ["never", "metadata", "auto", "always"],
    default: "auto",
    doc:
      "What the guest may keep of shared files. never: nothing. metadata: names and attributes. auto: both and what " +
      "is open, for a second. always: all, for ever, for files that only this guest changes.",
  },
  virtio_fs_queue_size: {
    type: "integer",
    min: 2,
    max: 1024,
    default: 1024,
    doc: "Requests that may wait for the daemon at once.",
  },
  disable_vhost_net: {
    type: "boolean",
    default: false,
    doc: "Lets the hypervisor handle packets instead of the host's kernel: slower, and one device of the host less.",
  },
  entropy_source: {
    type: "text",
    default: "/dev/urandom",
    doc: "Where the guest's random numbers come from.",
  },
  enable_debug: {
    type: "boolean",
    default: false,
    doc: "Verbose messages of the guest's kernel on the console, and the hypervisor's own in the log.",
  },
} as const satisfies Keys;
