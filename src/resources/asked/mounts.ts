/** Mounts of a specification: kinds by what their source is, and words of their options. @module */
import { AS_IS, type Fates } from "./fate.ts";

const KERNELS = { carried: "the guest's own" } as const;

/** By the handler that takes them, then by kind. */
export const MOUNT_FATES_BY_HANDLER: Readonly<Record<string, Fates>> = {
  guest: {
    "proc, sysfs, devpts, mqueue, cgroup, tmpfs and others of the kernel": KERNELS,
  },
  kernel: {
    "bind of /proc, /sys or below": KERNELS,
    "bind of a process's files (/proc/PID)": { refused: "it belongs to a process of the host" },
    "bind of another file system of the kernel (debugfs, …)": { refused: "it is the host kernel's own" },
  },
  empty_dir: {
    "bind of an emptyDir": { carried: "made in the guest, unless disable_guest_empty_dir" },
  },
  shm: {
    "bind of /dev/shm": { carried: "the pod's shared memory in the guest" },
  },
  device: {
    "bind of a node that each kernel has (/dev/null, /dev/fuse, …)": KERNELS,
    "bind of another node": { refused: "of the host, which the guest does not have" },
  },
  watchable: {
    "bind of a ConfigMap, Secret, downward API or projected volume": {
      carried: "by a copy in the guest, which follows the host's as the kubelet changes it",
    },
  },
  share: {
    "bind of a directory or file": { carried: "by the shared file system, opened once" },
    "bind of a socket": { refused: "a socket of the host leads nowhere in a virtual machine" },
    "bind of a fifo": { refused: "a fifo of the host leads nowhere in a virtual machine" },
  },
};

/** By kind. */
export const MOUNT_FATES: Fates = Object.assign({}, ...Object.values(MOUNT_FATES_BY_HANDLER));

/** Words that the engine knows, those of one fate in a row of their own. */
export const WORD_FATES: Fates = {
  "ro rw exec noexec suid nosuid dev nodev symfollow nosymfollow": AS_IS,
  "atime noatime diratime nodiratime relatime norelatime strictatime nostrictatime lazytime nolazytime": AS_IS,
  "rro rrw rexec rnoexec rsuid rnosuid rdev rnodev rsymfollow rnosymfollow": AS_IS,
  "ratime rnoatime rdiratime rnodiratime rrelatime rnorelatime rstrictatime rnostrictatime": AS_IS,
  "defaults bind rbind remount loud silent async sync dirsync mand nomand iversion noiversion tmpcopyup": AS_IS,
  "private rprivate slave rslave unbindable runbindable": AS_IS,
  "shared rshared": { refused: "what is mounted in a virtual machine cannot appear on the host" },
  "idmap ridmap": { carried: "on the host, whose files have the owners" },
};

/** All words. */
export const OPTION_FATES: Fates = {
  ...WORD_FATES,
  "words of a file system (size=, mode=, …)": { carried: "to the guest's kernel, which refuses what it does not know" },
};
