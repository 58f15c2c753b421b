/** Files of a container: prepared on the host while its machine boots, then put where its guest has them. @module */
import type { Storage } from "../../agent_api/storage.ts";
import { KataError } from "../../base/error.ts";
import type { Spec } from "../../oci/spec/spec.ts";
import type { GuestDevice } from "../../agent_api/device.ts";
import { checkDevices, disksOf } from "../../resources/devices/spec_devices.ts";
import { DEVICES, type DeviceSide } from "../../resources/devices/disk_device.ts";
import { toGuestSpec } from "../../resources/guest_spec.ts";
import { refuseHostOnly } from "../../resources/host_only.ts";
import {
  attachAll,
  type AttachOptions,
  type HostResource,
  prepareAll,
  type RunningMachine,
} from "../../resources/resource.ts";
import { ROOTFS } from "../../resources/rootfs/handlers.ts";
import type { RootfsSide } from "../../resources/rootfs/rootfs.ts";
import type { Volume } from "../../resources/volumes/volume.ts";
import { prepareVolumes } from "../../resources/volumes/volumes.ts";
import type { ContainerContext, ContainerOptions } from "./options.ts";

/** A container as its guest is told of it. */
export interface GuestFiles {
  readonly spec: Spec;
  /** Made in the guest before the container. */
  readonly storages: readonly Storage[];
  readonly devices: readonly GuestDevice[];
}

interface Prepared {
  rootfs: HostResource<RootfsSide>;
  volumes: readonly Volume[];
  devices: readonly HostResource<DeviceSide>[];
}

/**
 * Files that a container has on the host and in its machine. Disposing it, after the guest has let go of the container, takes it
 * out of the machine and then from the host.
 */
export class ContainerResources implements AsyncDisposable {
  readonly #options: ContainerOptions;
  readonly #context: ContainerContext;
  readonly #prepared: Prepared;
  readonly #stack: AsyncDisposableStack;

  /** Use {@linkcode ContainerResources.prepare}. */
  constructor(
    options: ContainerOptions,
    { stack, prepared, context }: { stack: AsyncDisposableStack; prepared: Prepared; context: ContainerContext },
  ) {
    this.#options = options;
    this.#context = context;
    this.#prepared = prepared;
    this.#stack = stack;
  }

  /** Mounts a container's files where the guest will see them. @throws {Error} Nothing stays mounted. */
  static async prepare(options: ContainerOptions, context: ContainerContext): Promise<ContainerResources> {
    const { id, type, bundle, spec, rootfs: mounts } = options;
    if (spec.process === undefined) {
      throw new KataError("INVALID_ARGUMENT", `Cannot create container "${id}": its configuration has no process`);
    }
    refuseHostOnly(spec, { id, type, config: context.config });
    checkDevices(spec.linux, { containerId: id, log: context.log });
    const root = spec.root?.path ?? "rootfs";
    const path = root.startsWith("/") ? root : `${bundle}/${root}`;
    await using undo = new AsyncDisposableStack();
    const parts = { ...context, share: undo.use(context.share.container(id)) };
    const { all: volumes } = undo.use(await prepareVolumes(spec.mounts ?? [], { ...parts, linux: spec.linux, bundle }));
    const points = [...volumes.map(({ point }) => point), {
      destination: spec.process.cwd,
      node: "directory" as const,
    }];
    const { all: [rootfs] } = undo.use(
      await prepareAll(ROOTFS, [{ mounts, path, ...(isSealed(options) && { readOnly: points }) }], {
        ...parts,
        containerId: id,
      }),
    );
    const rules = spec.linux?.resources?.devices ?? [];
    const deviceContext = { containerId: id, rules, log: context.log };
    const { all: devices } = undo.use(await prepareAll(DEVICES, disksOf(spec.linux), deviceContext));
    const prepared = { rootfs: rootfs!, volumes, devices };
    return new ContainerResources(options, { stack: undo.move(), prepared, context });
  }

  /** Puts them into the machine, which runs. @throws {Error} Nothing is left in the machine. */
  async attach(machine: RunningMachine, options: AttachOptions): Promise<GuestFiles> {
    const { rootfs, volumes, devices } = this.#prepared;
    const { id, spec, type, bundle } = this.#options;
    const { all: [root] } = this.#stack.use(await attachAll([rootfs], machine, options));
    const podRoot = id === this.#context.sandboxId ? root!.rootPath : machine.podRoot;
    const { all: parts } = this.#stack.use(await attachAll(volumes, { ...machine, podRoot }, options));
    const { all: plugged } = this.#stack.use(await attachAll(devices, machine, options));
    const mounts = parts.map(({ mount }) => mount);
    return {
      spec: toGuestSpec(spec, { config: this.#context.config, type, bundle, rootfs: root!.rootPath, mounts }),
      storages: [root!, ...parts].flatMap(({ storages = [] }) => storages),
      devices: plugged.map(({ device }) => device),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/**
 * Whether nobody in the guest writes to the root file system, the guest itself included: it keeps a pod's emptyDirs in that
 * of the pod's own container, and makes devices in one that has no other place for them.
 */
function isSealed({ type, spec }: ContainerOptions): boolean {
  const hasDev = spec.mounts?.some(({ destination }) => /^\/dev\/*$/.test(destination)) ?? false;
  return spec.root?.readonly === true && type !== "pod_sandbox" && hasDev;
}
