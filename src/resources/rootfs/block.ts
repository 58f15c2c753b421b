/** A root file system in a file of the host, which the machine gets as a disk: the host mounts nothing of it. @module */
import { toDiskSource } from "../../agent_api/disk_address.ts";
import { GUEST_PATH } from "../../agent_api/names.ts";
import type { AttachOptions, RunningMachine } from "../resource.ts";
import { noLayers, takeMaps } from "./mapped.ts";
import type { RootfsHandler, RootfsMount, RootfsSide } from "./rootfs.ts";

/** Asks the host for a loop device, which the machine has no need of. */
const LOOP = "loop";
/** Words from containerd to who mounts, and none for the kernel. */
const ENGINES_OWN = /^X-containerd\./;

export const blockRootfs: RootfsHandler = {
  name: "block",
  matches: ({ mounts: [mount, ...others] }) =>
    mount !== undefined && others.length === 0 && mount.options.includes(LOOP) && isFile(mount.source),
  prepare({ mounts: [mount] }, { containerId }) {
    if (takeMaps(mount!.options).maps !== undefined) throw noLayers(mount!.type);
    return {
      name: this.name,
      attach: (machine, options) => attach(mount!, { ...options, machine, containerId }),
      // Nothing was done on the host.
      async [Symbol.asyncDispose]() {},
    };
  },
};

async function attach(
  { type, source: path, options }: RootfsMount,
  { machine, containerId }: AttachOptions & { machine: RunningMachine; containerId: string },
): Promise<RootfsSide> {
  const user = `the root file system of container "${containerId}"`;
  const disk = await machine.disks.acquire({ path, readOnly: options.includes("ro"), user });
  const rootPath = `${GUEST_PATH.containers}/${containerId}/rootfs`;
  const kept = options.filter((option) => option !== LOOP && !ENGINES_OWN.test(option));
  // Snapshots of one image have the same id in their file systems, of which XFS mounts one only.
  const mountOptions = type === "xfs" && !kept.includes("nouuid") ? [...kept, "nouuid"] : kept;
  const storage = { ...toDiskSource(disk.address), fstype: type, options: mountOptions, mountPoint: rootPath };
  return { rootPath, storages: [storage], held: disk };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
