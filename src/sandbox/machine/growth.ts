/** Keeping a running VM as large as its containers may need. @module */
import { Mutex } from "../../base/async.ts";
import { formatCpuList, unite } from "../../base/cpu_list.ts";
import type { Config } from "../../config/schema.ts";
import { type ConfiguredSizes, configuredSizes } from "../../config/sizes.ts";
import { facetOf } from "../../hypervisor/facets.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import type { Resources } from "../../oci/spec/spec.ts";
import type { HostCgroups } from "../../resources/cgroup.ts";
import { type Demand, demandOf, dynamicSize } from "../../resources/sizing.ts";
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
  readonly #demands = new Map<string, Demand>();
  /** The guest waits for what one step has plugged in, so a second one must not have taken that into use by then. */
  readonly #turn = new Mutex();

  constructor(options: GrowthOptions) {
    this.#options = options;
    this.#sizes = configuredSizes(options.config.hypervisor);
  }

  /**
   * Notes what a container may use, in place of what it might before, and makes room for it.
   *
   * @throws {KataError} RESOURCE_EXHAUSTED naming the limit; the container then counts as before.
   */
  async admit(containerId: string, resources: Resources | undefined): Promise<void> {
    const before = this.#demands.get(containerId);
    this.#demands.set(containerId, demandOf(resources));
    try {
      if (!this.#options.config.runtime.static_sandbox_resource_mgmt) await this.#grow();
      this.#bind();
    } catch (error) {
      if (before === undefined) this.#demands.delete(containerId);
      else this.#demands.set(containerId, before);
      throw error;
    }
  }

  /** The container is gone. The VM keeps its size: a vCPU cannot be taken out of it safely. */
  forget(containerId: string): void {
    this.#demands.delete(containerId);
  }

  async #grow(): Promise<void> {
    const { vm, agent, cgroups } = this.#options;
    using _turn = await this.#turn.lock();
    const wanted = dynamicSize([...this.#demands.values()], this.#sizes);
    const had = await vm.info();
    if (wanted.vcpus <= had.vcpus && wanted.memoryMiB <= had.memoryMiB) return;
    const resize = facetOf(vm, "resize", `give the VM ${wanted.vcpus} vCPUs and ${wanted.memoryMiB} MiB`);
    const addedCpus = await resize.vcpus(wanted.vcpus) - had.vcpus;
    const addedMiB = await resize.memory(wanted.memoryMiB) - had.memoryMiB;
    if (addedCpus <= 0 && addedMiB <= 0) return;
    await agent.machine.online({ vcpus: addedCpus, memory: addedMiB > 0 });
    if (addedCpus > 0) cgroups?.placeVm(await vm.info());
  }

  #bind(): void {
    const cpus = unite([...this.#demands.values()].map(({ cpuset }) => cpuset));
    if (cpus.length > 0) this.#options.cgroups?.bindTo(formatCpuList(cpus));
  }
}
