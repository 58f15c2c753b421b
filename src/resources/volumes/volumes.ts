/**
 * The mounts of a container's spec, as the guest shall make them: those that show files of the host are shared first,
 * all others (proc, tmpfs…) are the guest's own business.
 *
 * @module
 */
import type { Logger } from "../../base/log.ts";
import type { Mount } from "../../oci/spec.ts";
import { GUEST_PATH } from "../../rpc/agent_api.ts";
import type { SharedDirectory } from "../share_fs.ts";
import { shareVolume } from "./share.ts";

export interface VolumeContext {
  containerId: string;
  share: SharedDirectory;
  log: Logger;
}

/** A mount for the guest, or none; disposing it takes back what was done on the host. */
export interface Volume extends Disposable {
  readonly mount: Mount | undefined;
}

/** A kind of mount and what is done about it. */
interface VolumeHandler {
  matches(mount: Mount): boolean;
  prepare(mount: Mount, context: VolumeContext): Volume;
}

/** The first that matches decides. */
const HANDLERS: readonly VolumeHandler[] = [
  { matches: (mount) => !isBind(mount) || isKernelPath(mount.source ?? ""), prepare: (mount) => keep(mount) },
  // Engines bind a directory of the host here; shared memory works only inside of one kernel (B16).
  {
    matches: (mount) => mount.destination === "/dev/shm",
    prepare: (mount) => keep({ ...mount, source: GUEST_PATH.shm }),
  },
  { matches: () => true, prepare: shareVolume },
];

export interface Volumes extends Disposable {
  /** For the spec that the guest gets. */
  readonly mounts: readonly Mount[];
}

/**
 * @param mounts From the spec.
 * @throws {KataError} INVALID_ARGUMENT for a source that does not exist; nothing stays mounted.
 */
export function prepareVolumes(mounts: readonly Mount[], context: VolumeContext): Volumes {
  using undo = new DisposableStack();
  const prepared = mounts.map((mount) =>
    undo.use(HANDLERS.find(({ matches }) => matches(mount))!.prepare(mount, context))
  );
  const resources = undo.move();
  return {
    mounts: prepared.flatMap(({ mount }) => mount ?? []),
    [Symbol.dispose]: () => resources.dispose(),
  };
}

function keep(mount: Mount): Volume {
  return { mount, [Symbol.dispose]() {} };
}

function isBind({ type, options = [] }: Mount): boolean {
  return type === "bind" || options.includes("bind") || options.includes("rbind");
}

/** The guest has its own: the host's would say the wrong things. */
function isKernelPath(source: string): boolean {
  return /^\/(proc|sys)(\/|$)/.test(source);
}
