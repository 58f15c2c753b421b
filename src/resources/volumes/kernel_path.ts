/**
 * Bind mounts of what a kernel shows of itself. The guest has a kernel of its own, and the host's would say the wrong
 * things, or take orders: such a source means the guest's own file at the same place, however it is spelled and wherever
 * the host has mounted it.
 *
 * @module
 */
import { FILE_SYSTEM_MAGIC } from "../../linux/fs/statfs.ts";
import type { Source } from "./source.ts";
import { readyVolume, refuse, type VolumeHandler } from "./volume.ts";

/** File systems in which a kernel shows itself, and where the guest has them; undefined: it does not show them. */
const GUEST_PLACE = {
  binfmt_misc: undefined,
  bpf: undefined,
  cgroup: undefined,
  cgroup2: "/sys/fs/cgroup",
  configfs: undefined,
  debugfs: undefined,
  devpts: undefined,
  efivarfs: undefined,
  fusectl: undefined,
  mqueue: undefined,
  nsfs: undefined,
  pidfs: undefined,
  proc: "/proc",
  pstore: undefined,
  resctrl: undefined,
  rpc_pipefs: undefined,
  securityfs: undefined,
  selinuxfs: undefined,
  smackfs: undefined,
  sysfs: "/sys",
  tracefs: undefined,
} as const satisfies Partial<Record<keyof typeof FILE_SYSTEM_MAGIC, string | undefined>>;

type KernelFileSystem = keyof typeof GUEST_PLACE;

const NAMES = new Map<number, KernelFileSystem>(
  (Object.keys(GUEST_PLACE) as KernelFileSystem[]).map((name) => [FILE_SYSTEM_MAGIC[name], name]),
);

/** Whether a file system shows a kernel, by its magic number or by its type in the mount table. */
export function showsKernel(kind: number | string): boolean {
  return typeof kind === "string" ? Object.hasOwn(GUEST_PLACE, kind) : NAMES.has(kind);
}

/** Refuses what the guest has nothing for, with UNIMPLEMENTED. */
export const kernelVolume: VolumeHandler = {
  name: "kernel",
  matches: ({ source }) => NAMES.has(source.magic) || IN_PLACE.test(source.path),
  prepare({ mount, source }) {
    const name = NAMES.get(source.magic);
    const path = IN_PLACE.test(source.path) ? source.path : elsewhere(source, name!);
    if (path === undefined) {
      throw refuse(mount, `it is the host kernel's own (${name}), which a virtual machine has not`);
    }
    if (OF_A_PROCESS.test(path)) {
      throw refuse(mount, "it belongs to a process of the host, which a virtual machine has not");
    }
    const node = source.kind === "directory" ? "directory" : "file";
    return readyVolume(this.name, { mount: { ...mount, source: path } }, { node });
  },
};

/** Where every system has them. */
const IN_PLACE = /^\/(proc|sys)(\/|$)/;
const OF_A_PROCESS = /^\/proc\/\d+(\/|$)/;

/** Path in the guest for a kernel file system that the host has mounted at another place. */
function elsewhere(source: Source, name: KernelFileSystem): string | undefined {
  const place = GUEST_PLACE[name];
  const found = place === undefined ? undefined : source.mountInfo();
  return found && `${place}${found.mount.root === "/" ? "" : found.mount.root}${found.within}`;
}
