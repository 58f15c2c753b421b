/** Sizes of machines as the configuration has them, with what it leaves to the host. Pure but for {@linkcode readHostSize}. @module */
import type { MonitorKind } from "./key.ts";
import type { CommonConfig, HypervisorConfig } from "./tables.ts";

/** The host's own size. */
export interface HostSize {
  cpus: number;
  memoryMiB: number;
}

/** Sizes that the configuration asks for and allows. */
export interface ConfiguredSizes {
  /** At the start, perhaps with a fraction that a pod's share fills up; above zero. */
  vcpus: number;
  /** At least `vcpus`, rounded up. */
  maxVcpus: number;
  memoryMiB: number;
  /** No more than the host has; less than `memoryMiB` if the configuration is wrong. */
  maxMemoryMiB: number;
  /** On top of what a pod asks for. */
  overheadVcpus: number;
  overheadMiB: number;
}

/** Most vCPUs of a machine. */
const MOST_VCPUS: Readonly<Record<MonitorKind, number>> = {
  qemu: 255, // without an interrupt remapper, q35 cannot address more
};

/** The keys that say how large a machine may be. */
export type SizeKeys = Pick<
  CommonConfig,
  | "default_vcpus"
  | "default_maxvcpus"
  | "default_memory"
  | "default_maxmemory"
  | "overhead_vcpus"
  | "overhead_memory"
>;

/** Zero and negative numbers mean "as the host has". */
export function configuredSizes(
  config: SizeKeys & Pick<HypervisorConfig, "kind">,
  host: HostSize = readHostSize(),
): ConfiguredSizes {
  const mostVcpus = MOST_VCPUS[config.kind];
  const most = Math.min(host.cpus, mostVcpus);
  const vcpus = Math.min(config.default_vcpus < 0 ? most : config.default_vcpus || 1, most);
  const limit = config.default_maxvcpus === 0 ? most : Math.min(config.default_maxvcpus, mostVcpus);
  const { default_memory: memoryMiB, default_maxmemory: maxMemory } = config;
  const { overhead_vcpus: overheadVcpus, overhead_memory: overheadMiB } = config;
  return {
    vcpus,
    maxVcpus: Math.max(limit, Math.ceil(vcpus)),
    memoryMiB,
    maxMemoryMiB: maxMemory === 0 ? host.memoryMiB : Math.min(maxMemory, host.memoryMiB),
    overheadVcpus,
    overheadMiB,
  };
}

/** Reads the size of this machine. */
export function readHostSize(): HostSize {
  return {
    cpus: navigator.hardwareConcurrency,
    memoryMiB: Math.floor(Deno.systemMemoryInfo().total / 2 ** 20),
  };
}
