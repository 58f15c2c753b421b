/** Everything that a sandbox has on the host besides its VM, and the size that the VM has. @module */
import type { Logger } from "../base/log.ts";
import type { Config } from "../config/schema.ts";
import { configuredSizes } from "../config/sizes.ts";
import type { Device } from "../hypervisor/device.ts";
import type { MachineSize } from "../hypervisor/vm_config.ts";
import { detectCgroups } from "../linux/cgroup/cgroup.ts";
import type { Fd } from "../linux/io/fd.ts";
import type { Spec } from "../oci/spec/spec.ts";
import { type ContainerType, SHARED_TAG } from "../agent_api/names.ts";
import { HostCgroups } from "./cgroup.ts";
import { catchLoopback, type Loopback } from "./network/loopback.ts";
import { openPodNetns } from "./network/netns.ts";
import { type JoinedLinks, NOTHING_JOINED, PodNetwork } from "./network/network.ts";
import { SharedDirectory } from "./share_fs.ts";
import { sandboxDemand, startSize } from "./sizing.ts";

export interface SandboxResourcesOptions {
  id: string;
  /** Of the container that the sandbox is made for. */
  spec: Spec;
  type: ContainerType;
  config: Config;
  log: Logger;
  /** Directory of all sandboxes' shared directories. */
  sharedRoot: string;
}

type Parts = Pick<SandboxResources, "size" | "share" | "loopback" | "joined" | "cgroups"> & {
  /** Owns all of them. */
  stack: AsyncDisposableStack;
};

/** Disposing it takes all away; the VM must be gone by then. */
export class SandboxResources implements AsyncDisposable {
  /** The VM's. */
  readonly size: MachineSize;
  readonly share: SharedDirectory;
  readonly cgroups: HostCgroups | undefined;
  /** Links that were in the pod's network namespace before the start. */
  readonly joined: JoinedLinks;
  /** Loopback of the pod, whose connections go to the guest's servers; a single container has none to forward. */
  readonly loopback: Loopback | undefined;
  /** None where the sandbox has no network namespace. */
  readonly network: PodNetwork | undefined;
  readonly #stack: AsyncDisposableStack;

  /** Use {@linkcode SandboxResources.create}. */
  constructor(network: PodNetwork | undefined, parts: Parts) {
    this.network = network;
    this.size = parts.size;
    this.share = parts.share;
    this.loopback = parts.loopback;
    this.joined = parts.joined;
    this.cgroups = parts.cgroups;
    this.#stack = parts.stack;
  }

  /** @throws {KataError} Why the sandbox cannot be made like this; nothing is left behind. */
  static async create(options: SandboxResourcesOptions): Promise<SandboxResources> {
    const { id, spec, config: { hypervisor, runtime }, sharedRoot } = options;
    const size = startSize(runtime, { sizes: configuredSizes(hypervisor), demand: sandboxDemand(spec) });
    await using undo = new AsyncDisposableStack();
    const share = undo.use(new SharedDirectory(sharedRoot, id));
    const network = undo.use(openNetwork(options, size));
    const isPod = options.type !== "single_container";
    const loopback = undo.use(isPod && network !== undefined ? catchLoopback(network.netns, options) : undefined);
    const joined = network?.join() ?? NOTHING_JOINED;
    const cgroups = undo.use(makeCgroups(options));
    return new SandboxResources(network, { size, share, loopback, joined, cgroups, stack: undo.move() });
  }

  /** Devices that the VM starts with. */
  get devices(): readonly Device[] {
    return [{ kind: "shareFs", id: "shared", tag: SHARED_TAG, source: this.share.source }, ...this.joined.cards];
  }

  /** The network namespace that the VMM runs in, if the sandbox has one. */
  get netns(): Fd | undefined {
    return this.network?.netns;
  }

  /** Traffic of the pod's interfaces, by name. */
  networkStatistics(): ReturnType<PodNetwork["statistics"]> {
    return this.network?.statistics() ?? new Map();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function openNetwork(options: SandboxResourcesOptions, { vcpus }: MachineSize): PodNetwork | undefined {
  const { id, spec, type, log, config: { runtime, hypervisor } } = options;
  const isPod = type !== "single_container";
  const netns = openPodNetns(spec, { sandboxId: id, isPod, disableNew: runtime.disable_new_netns });
  if (netns === undefined) return undefined;
  return new PodNetwork({
    netns,
    model: runtime.internetworking_model,
    queues: vcpus,
    vhost: !hypervisor.disable_vhost_net,
    log,
  });
}

/** An engine that names no group wants none. */
function makeCgroups({ id, spec, config }: SandboxResourcesOptions): HostCgroups | undefined {
  const cgroupsPath = spec.linux?.cgroupsPath ?? "";
  if (cgroupsPath === "") return undefined;
  const sandboxOnly = config.runtime.sandbox_cgroup_only;
  return new HostCgroups({ layout: detectCgroups(), cgroupsPath, sandboxId: id, sandboxOnly });
}
