/**
 * The mounts of a container's spec, as the guest shall make them: those that show files of the host are shared first,
 * all others (proc, tmpfs…) are the guest's own business.
 *
 * @module
 */
import { KataError } from "../../base/error.ts";
import { isBind } from "../../oci/mount/planned.ts";
import { type MountInfo, readMountInfo } from "../../linux/mount/mountinfo.ts";
import type { Mount } from "../../oci/spec/spec.ts";
import type { MountPoint } from "../rootfs/mount_points.ts";
import { deviceVolume } from "./device.ts";
import type { Storage } from "../../agent_api/storage.ts";
import { emptyDirVolume } from "./empty_dir.ts";
import { kernelVolume } from "./kernel_path.ts";
import { shareVolume } from "./share.ts";
import { shmVolume } from "./shm.ts";
import { Source, type SourceOptions } from "./source.ts";
import { keep, type Volume, type VolumeContext } from "./volume.ts";

/** Turns a mount into a volume if its source is of the handler's kind; else undefined. */
type VolumeHandler = (mount: Mount, source: Source, context: VolumeContext) => Volume | undefined;

/** In order: the first handler that answers decides. Each mount is made as asked or refused by name, none left out. */
const HANDLERS: readonly VolumeHandler[] = [
  kernelVolume,
  // Pods that need more shared memory than usual have one of their own volumes at /dev/shm.
  emptyDirVolume,
  shmVolume,
  deviceVolume,
];

export interface Volumes extends Disposable {
  /** For the spec that the guest gets. */
  readonly mounts: readonly Mount[];
  /** Where they are mounted in the container, in order. */
  readonly points: readonly MountPoint[];
  /** To be made in the guest before the container. */
  readonly storages: readonly Storage[];
}

/**
 * @param mounts From the spec.
 * @throws {KataError} INVALID_ARGUMENT for a source that does not exist, UNIMPLEMENTED for one that means nothing in a
 * virtual machine; nothing stays mounted.
 */
export function prepareVolumes(mounts: readonly Mount[], context: VolumeContext): Volumes {
  using undo = new DisposableStack();
  // Read once for all of them: what is mounted meanwhile is none of theirs.
  let read: readonly MountInfo[] | undefined;
  const table = () => read ??= readMountInfo();
  const prepared = mounts.map((mount, index) => {
    // The specification demands it, but the author of this one may have left it out.
    if (!mount.destination) {
      throw new KataError("INVALID_ARGUMENT", `Cannot use mounts[${index}]: it has no destination`);
    }
    return undo.use(prepare(mount, { ...context, table }));
  });
  const resources = undo.move();
  return {
    mounts: prepared.map(({ mount }) => mount),
    points: prepared.map(({ mount: { destination }, node = "directory" }) => ({ destination, node })),
    storages: prepared.flatMap(({ storages = [] }) => storages),
    [Symbol.dispose]: () => resources.dispose(),
  };
}

function prepare(mount: Mount, context: VolumeContext & SourceOptions): Volume {
  if (!isBind(mount)) return keep(mount);
  using source = new Source(mount, context);
  for (const handler of HANDLERS) {
    const volume = handler(mount, source, context);
    if (volume !== undefined) return volume;
  }
  return shareVolume(mount, source, context);
}
