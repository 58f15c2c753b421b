/** Mounts of a specification: kinds by what their source is, and words of their options. @module */
import { AS_IS, type Fates } from "./fate.ts";

const KERNELS = { carried: "the guest's own" } as const;

/** By kind. */
export const MOUNT_FATES: Fates = {
  "bind of a directory or file": { carried: "by the shared file system, opened once" },
  "bind of an emptyDir": { carried: "made in the guest, unless disable_guest_empty_dir" },
  "bind of /dev/shm": { carried: "the pod's shared memory in the guest" },
  "bind of a node that each kernel has (/dev/null, /dev/fuse, …)": KERNELS,
  "bind of another node": { refused: "of the host, which the guest does not have" },
  "bind of a socket or fifo": { refused: "by its kind" },
  "bind of /proc, /sys or below": KERNELS,
  "bind of a process's files (/proc/PID)": { refused: "it belongs to a process of the host" },
  "bind of another file system of the kernel (debugfs, …)": { refused: "it is the host kernel's own" },
  "proc, sysfs, devpts, mqueue, cgroup, tmpfs and others of the kernel": KERNELS,
};

/** Words that are no flags: `knownMountOptions()` has the others. */
export const OPTION_FATES: Fates = {
  "flags, propagation, idmap (ro, nosuid, rslave, …)": AS_IS,
  "rshared of a volume (Bidirectional)": { refused: "mounts that a pod makes stay in its VM" },
  "words of a file system (size=, mode=, …)": { carried: "to the guest's kernel, which refuses what it does not know" },
};
