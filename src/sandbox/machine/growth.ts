/** Keeping a running VM as large as its containers may need. @module */
import { Mutex } from "../../base/async.ts";
import { KataError } from "../../base/error.ts";
import { quoted } from "../../base/text.ts";
import { formatCpuList, unite } from "../../base/cpu_list.ts";
import type { Config } from "../../config/schema.ts";
import { type ConfiguredSizes, configuredSizes } from "../../config/sizes.ts";
import { facetOf } from "../../hypervisor/facets.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import type { Resources } from "../../oci/spec/spec.ts";
import type { HostCgroups } from "../../resources/cgroup.ts";
import { type Demand, demandOf, dynamicSize, toMiB } from "../../resources/sizing.ts";
import type { GuestMachine } from "../agent/machine.ts";

export interface GrowthOptions {
  config: Config;
  vm: Pick<Hypervisor, "name" | "info" | "resize">;
  agent: { machine: Pick<GuestMachine, "online"> };
  cgroups: HostCgroups | undefined;
}

/** The demands of all containers in one VM. A VM with static sizing never grows, but follows the CPUs it is bound to. */
export class Growth {
  readonly #options: GrowthOptions;
  readonly #sizes: ConfiguredSizes;
  readonly #limits = new Map<string, Resources>();
  /** The guest waits for what one step has plugged in, so a second one must not have taken that into use by then. */
  readonly #turn = new Mutex();

  constructor(options: GrowthOptions) {
    this.#options = options;
    this.#sizes = configuredSizes(options.config.hypervisor);
  }

  /**
   * Notes what a container may use, in place of what it might before, and makes room for it.
   *
   * @param resources For a container that is known, what changes.
   * @throws {KataError} RESOURCE_EXHAUSTED naming the limit; the container then counts as before.
   */
  async admit(containerId: string, resources: Resources = {}): Promise<void> {
    const before = this.#limits.get(containerId);
    const limits = merged(before ?? {}, resources);
    this.#limits.set(containerId, limits);
    try {
      if (!this.#options.config.runtime.static_sandbox_resource_mgmt) await this.#grow();
      else if (before !== undefined) await this.#mustFit(limits, { containerId, before });
      this.#bind();
    } catch (error) {
      if (before === undefined) this.#limits.delete(containerId);
      else this.#limits.set(containerId, before);
      throw error;
    }
  }

  /** The container is gone. The VM keeps its size: a vCPU cannot be taken out of it safely. */
  forget(containerId: string): void {
    this.#limits.delete(containerId);
  }

  /** An update that gives more than there is would be taken for done, and the memory be missing later. */
  async #mustFit(
    limits: Resources,
    { containerId, before }: { containerId: string; before: Resources },
  ): Promise<void> {
    const [wanted, had] = [demandOf(limits).memoryBytes, demandOf(before).memoryBytes];
    if (wanted <= had) return;
    const { memoryMiB } = await this.#options.vm.info();
    if (toMiB(wanted) <= memoryMiB) return;
    const why = `the VM has ${memoryMiB} MiB, and static_sandbox_resource_mgmt keeps its size`;
    const message = `Cannot give container ${quoted(containerId)} ${toMiB(wanted)} MiB: ${why}`;
    throw new KataError("RESOURCE_EXHAUSTED", message);
  }

  get #demands(): Demand[] {
    return [...this.#limits.values()].map(demandOf);
  }

  async #grow(): Promise<void> {
    const { vm, agent, cgroups } = this.#options;
    using _turn = await this.#turn.lock();
    const wanted = dynamicSize(this.#demands, this.#sizes);
    const had = await vm.info();
    if (wanted.vcpus <= had.vcpus && wanted.memoryMiB <= had.memoryMiB) return;
    const resize = facetOf(vm, "resize", `give the VM ${wanted.vcpus} vCPUs and ${wanted.memoryMiB} MiB`);
    const vcpus = await resize.vcpus(wanted.vcpus);
    const addedCpus = vcpus - had.vcpus;
    const addedMiB = await resize.memory(wanted.memoryMiB) - had.memoryMiB;
    if (addedCpus <= 0 && addedMiB <= 0) return;
    await agent.machine.online({ vcpus: addedCpus > 0 ? vcpus : 0, memory: addedMiB > 0 });
    if (addedCpus > 0) cgroups?.moveVm(await vm.info());
  }

  #bind(): void {
    const cpus = unite(this.#demands.map(({ cpuset }) => cpuset));
    if (cpus.length > 0) this.#options.cgroups?.bindTo(formatCpuList(cpus));
  }
}

/** The part that sizes a VM, with the changes of an update. */
function merged({ cpu, memory }: Resources, changes: Resources): Resources {
  return { cpu: { ...cpu, ...named(changes.cpu) }, memory: { ...memory, ...named(changes.memory) } };
}

/** Without what is 0 or empty, which is what engines write for "absent" (Docker's update). */
function named<T extends object>(changes: T | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(changes ?? {}).filter(([, value]) => Boolean(value))) as Partial<T>;
}
