/** Shared memory, which works only inside of one kernel (B16): the guest has its own for a pod. @module */
import { FILE_SYSTEM_MAGIC } from "../../linux/fs/statfs.ts";
import type { Mount } from "../../oci/spec/spec.ts";
import { GUEST_PATH } from "../../agent_api/names.ts";
import type { Source } from "./source.ts";
import { readyVolume, type VolumeHandler } from "./volume.ts";

export const SHM = "/dev/shm";

/** How engines name the tmpfs that they make for it: containerd, CRI-O, Docker and Podman alike. */
const ENGINES_NAME = "shm";

/** Whether a mount is at the place of shared memory. */
export function isAtShm({ destination }: Mount): boolean {
  return destination.replace(/\/+$/, "") === SHM;
}

/** Whether it is what the engine has made for the pod, or the host's own; else it is a volume of the user's. */
export function isEngineShm(source: Source): boolean {
  if (source.magic !== FILE_SYSTEM_MAGIC.tmpfs) return false;
  if (source.path === SHM) return true;
  const found = source.mountInfo();
  return found !== undefined && found.within === "" && found.mount.root === "/" && found.mount.source === ENGINES_NAME;
}

export const shmVolume: VolumeHandler = {
  name: "shm",
  matches: ({ mount, source }) => isAtShm(mount) && isEngineShm(source),
  prepare({ mount }) {
    return readyVolume(this.name, { mount: { ...mount, source: GUEST_PATH.shm } });
  },
};
