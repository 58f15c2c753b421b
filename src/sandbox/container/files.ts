/** Files of a container on the host, where the guest sees them. @module */
import { KataError } from "../../base/error.ts";
import type { Spec } from "../../oci/spec/spec.ts";
import { checkDevices } from "../../resources/devices.ts";
import { toGuestSpec } from "../../resources/guest_spec.ts";
import { shareRootfs } from "../../resources/rootfs/share.ts";
import { prepareVolumes, type Volumes } from "../../resources/volumes/volumes.ts";
import type { ContainerContext, ContainerOptions } from "./options.ts";

/** Resources of a container on the host, ready before its VM is. */
export interface ContainerResources extends Disposable {
  readonly guestSpec: Spec;
  /** Made in the guest before the container. */
  readonly storages: Volumes["storages"];
}

/** Mounts a container's files where the guest will see them. @throws {Error} Nothing stays mounted. */
export function prepareContainer(options: ContainerOptions, context: ContainerContext): ContainerResources {
  const { id, type, bundle, spec, rootfs: mounts } = options;
  if (spec.process === undefined) {
    throw new KataError("INVALID_ARGUMENT", `Cannot create container "${id}": its configuration has no process`);
  }
  checkDevices(spec.linux, { containerId: id, log: context.log });
  const root = spec.root?.path ?? "rootfs";
  using undo = new DisposableStack();
  const path = root.startsWith("/") ? root : `${bundle}/${root}`;
  const share = undo.use(context.share.container(id));
  const volumes = undo.use(prepareVolumes(spec.mounts ?? [], { ...context, share, bundle }));
  const points = [...volumes.points, { destination: spec.process.cwd, node: "directory" as const }];
  const rootfs = undo.use(
    shareRootfs(share, { mounts, path, log: context.log, ...(isSealed(options) && { readOnly: points }) }),
  );
  const resources = undo.move();
  return {
    guestSpec: toGuestSpec(spec, {
      config: context.config,
      type,
      bundle,
      rootfs: rootfs.guestPath,
      mounts: volumes.mounts,
    }),
    storages: volumes.storages,
    [Symbol.dispose]: () => resources.dispose(),
  };
}

/**
 * Whether nobody in the guest writes to the root file system, the guest itself included: it keeps a pod's emptyDirs in that
 * of the pod's own container, and makes devices in one that has no other place for them.
 */
function isSealed({ type, spec }: ContainerOptions): boolean {
  const hasDev = spec.mounts?.some(({ destination }) => /^\/dev\/*$/.test(destination)) ?? false;
  return spec.root?.readonly === true && type !== "pod_sandbox" && hasDev;
}
