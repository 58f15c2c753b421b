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
import { type Handler, type HandlerList, type Owned, prepareAll } from "../resource.ts";
import { deviceVolume } from "./device.ts";
import { emptyDirVolume } from "./empty_dir.ts";
import { kernelVolume } from "./kernel_path.ts";
import { splitMaps } from "./mapped.ts";
import { shareVolume } from "./share.ts";
import { shmVolume } from "./shm.ts";
import { Source } from "./source.ts";
import { watchableVolume } from "./watchable.ts";
import { type BindMount, readyVolume, type Volume, type VolumeContext, type VolumeHandler } from "./volume.ts";

/** Only a bind mount has a source on the host. */
type Request = Pick<BindMount, "mount"> & Partial<BindMount>;

/** Mounts that are the guest's own business. */
const guestMount: Handler<Request, VolumeContext, Volume> = {
  name: "guest",
  matches: ({ source }) => source === undefined,
  prepare({ mount }) {
    return readyVolume(this.name, { mount });
  },
};

/** In order. */
const BIND_HANDLERS: readonly VolumeHandler[] = [
  kernelVolume,
  // Pods that need more shared memory than usual have one of their own volumes at /dev/shm.
  emptyDirVolume,
  shmVolume,
  deviceVolume,
  watchableVolume,
  shareVolume,
];

const VOLUMES: HandlerList<Request, VolumeContext, Volume> = {
  kind: "volume",
  handlers: [guestMount, ...BIND_HANDLERS.map(onBinds)],
  describe: ({ mount }) => mount.destination,
};

/** Names of the handlers, in order. */
export const VOLUME_HANDLERS: readonly string[] = VOLUMES.handlers.map(({ name }) => name);

function onBinds(handler: VolumeHandler): Handler<Request, VolumeContext, Volume> {
  return {
    name: handler.name,
    matches: (request, context) => isBindMount(request) && handler.matches(request, context),
    prepare: (request, context) => handler.prepare(request as BindMount, context),
  };
}

function isBindMount(request: Request): request is BindMount {
  return request.source !== undefined;
}

/**
 * @param mounts From the spec.
 * @param context.bundle Directory on the host, where relative sources start.
 * @returns In the order of the mounts.
 * @throws {KataError} INVALID_ARGUMENT for a source that does not exist, UNIMPLEMENTED for one that means nothing in a
 * virtual machine; nothing stays mounted.
 */
export async function prepareVolumes(
  mounts: readonly Mount[],
  context: VolumeContext & { bundle: string },
): Promise<Owned<Volume>> {
  // Read once for all of them: what is mounted meanwhile is none of theirs.
  let read: readonly MountInfo[] | undefined;
  const table = () => read ??= readMountInfo();
  using sources = new DisposableStack();
  const requests = mounts.map((mount, index) => {
    // The specification demands it, but the author of this one may have left it out.
    if (!mount.destination) {
      throw new KataError("INVALID_ARGUMENT", `Cannot use mounts[${index}]: it has no destination`);
    }
    if (!isBind(mount)) return { mount };
    return { ...splitMaps(mount, context.linux), source: sources.use(new Source(mount, { ...context, table })) };
  });
  return await prepareAll(VOLUMES, requests, context);
}
