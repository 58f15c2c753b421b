/**
 * The mounts of a container's spec, as the guest shall make them: those that show files of the host are shared first,
 * all others (proc, tmpfs…) are the guest's own business.
 *
 * @module
 */
import type { Logger } from "../../base/log.ts";
import type { Config } from "../../config/schema.ts";
import type { Mount } from "../../oci/spec.ts";
import { GUEST_PATH } from "../../rpc/agent_api.ts";
import type { SharedDirectory } from "../share_fs.ts";
import { emptyDirVolume, type Storage } from "./empty_dir.ts";
import { shareVolume } from "./share.ts";

export interface VolumeContext {
  config: Config;
  sandboxId: string;
  containerId: string;
  share: SharedDirectory;
  log: Logger;
}

/** A mount for the guest, or none; disposing it takes back what was done on the host. */
export interface Volume extends Disposable {
  readonly mount: Mount | undefined;
  /** What the agent makes first. */
  readonly storages?: readonly Storage[];
}

/** What is done about a kind of mount; nothing about others. */
type VolumeHandler = (mount: Mount, context: VolumeContext) => Volume | undefined;

/** The first that answers decides. */
const HANDLERS: readonly VolumeHandler[] = [
  (mount) => !isBind(mount) || isKernelPath(mount.source ?? "") ? keep(mount) : undefined,
  // Pods that need more shared memory than usual have one of their own volumes at /dev/shm.
  emptyDirVolume,
  // Engines bind a directory of the host here; shared memory works only inside of one kernel (B16).
  (mount) => mount.destination === "/dev/shm" ? keep({ ...mount, source: GUEST_PATH.shm }) : undefined,
  shareVolume,
];

export interface Volumes extends Disposable {
  /** For the spec that the guest gets. */
  readonly mounts: readonly Mount[];
  /** To be made in the guest before the container. */
  readonly storages: readonly Storage[];
}

/**
 * @param mounts From the spec.
 * @throws {KataError} INVALID_ARGUMENT for a source that does not exist; nothing stays mounted.
 */
export function prepareVolumes(mounts: readonly Mount[], context: VolumeContext): Volumes {
  using undo = new DisposableStack();
  const prepared = mounts.flatMap((mount) => undo.use(prepare(mount, context)) ?? []);
  const resources = undo.move();
  return {
    mounts: prepared.flatMap(({ mount }) => mount ?? []),
    storages: prepared.flatMap(({ storages = [] }) => storages),
    [Symbol.dispose]: () => resources.dispose(),
  };
}

function prepare(mount: Mount, context: VolumeContext): Volume | undefined {
  for (const handler of HANDLERS) {
    const volume = handler(mount, context);
    if (volume !== undefined) return volume;
  }
  return undefined;
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
