/** The keys of `[runtime]`. @module */
import { table } from "../key.ts";

export const RUNTIME = table({
  path: "runtime",
  doc: "What the shim does on the host.",
  keys: {
    enable_debug: { type: "boolean", default: false, doc: "Writes messages for debugging to the log." },
    log_level: {
      type: "text",
      default: "",
      doc: "trace, debug, info, warning, error or critical, whatever enable_debug says; empty: as enable_debug says.",
    },
    hypervisor_name: {
      type: "choice",
      values: ["qemu"],
      plannedValues: ["clh", "cloud-hypervisor", "firecracker", "remote"],
      default: "qemu",
      doc: "Which hypervisor, and with it which table [hypervisor.*] counts.",
    },
    agent_name: {
      type: "choice",
      values: ["kata"],
      default: "kata",
      doc: "Which agent is in the guest, and with it which table [agent.*] counts.",
    },
    internetworking_model: {
      type: "choice",
      values: ["tcfilter", "none"],
      plannedValues: ["macvtap"],
      default: "tcfilter",
      doc: "How a link of the pod and the machine's card are joined. tcfilter: whatever arrives at one leaves by the " +
        "other. none: by somebody else.",
    },
    disable_new_netns: {
      type: "boolean",
      default: false,
      doc: "Makes no network namespace for a container that is alone and brings none.",
    },
    disable_guest_seccomp: {
      type: "boolean",
      default: false,
      annotation: { name: "runtime.disable_guest_seccomp" },
      doc:
        "Leaves out the containers' system call filters, for the machine's wall is there already. Kata's own default " +
        "is true.",
    },
    sandbox_cgroup_only: {
      type: "boolean",
      default: true,
      doc: "Puts all that belongs to a sandbox into its cgroup. Otherwise only the vCPUs are there, and the rest is " +
        "in a group for overhead.",
    },
    static_sandbox_resource_mgmt: {
      type: "boolean",
      default: true,
      doc: "Sizes the machine before it boots; nothing is plugged later.",
    },
    disable_guest_empty_dir: {
      type: "boolean",
      default: true,
      doc: "Keeps the emptyDir volumes of a pod that are on disk in the kubelet's directory and shares them, so that " +
        "the kubelet sees how large they become and evicts by their sizeLimit; otherwise they are in the pod's own root " +
        "file system, without a limit. Those in memory are always the guest's.",
    },
    emptydir_mode: {
      type: "choice",
      values: ["shared-fs"],
      plannedValues: ["block-plain", "block-encrypted"],
      default: "shared-fs",
      doc: "How the guest comes to an emptyDir on disk that is kept on the host. shared-fs: as to other volumes.",
    },
    keep_abnormal: {
      type: "boolean",
      default: false,
      status: "planned",
      doc: "Keeps the files of a sandbox that failed, for a look at them.",
    },
    experimental: {
      type: "texts",
      default: [],
      status: "planned",
      doc: "Names of features that are tried out.",
    },
  },
});
