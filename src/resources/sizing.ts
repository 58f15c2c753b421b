/**
 * How large a VM must be for what its containers may use. Pure.
 *
 * With static sizing (`static_sandbox_resource_mgmt`) the engine's word about the whole pod decides once, before the
 * boot. Otherwise the VM starts with the configured size and grows by each container.
 *
 * @module
 */
import { quoted } from "../base/text.ts";
import { countCpus, type CpuList, parseCpuList, unite } from "../base/cpu_list.ts";
import { KataError } from "../base/error.ts";
import type { RuntimeConfig } from "../config/schema.ts";
import type { ConfiguredSizes } from "../config/sizes.ts";
import type { MachineSize } from "../hypervisor/vm_config.ts";
import type { Resources, Spec } from "../oci/spec/spec.ts";
import { type Fraction, fractionOf, roundUp, sum, ZERO } from "./fraction.ts";

/** Annotations for a pod's size that containerd's CRI plugin sets on its sandbox. */
const CPU_PERIOD = "io.kubernetes.cri.sandbox-cpu-period";
const CPU_QUOTA = "io.kubernetes.cri.sandbox-cpu-quota";
const MEMORY = "io.kubernetes.cri.sandbox-memory";

const MIB = 2n ** 20n;
/** Period that the kernel takes for a quota without one, in microseconds. */
const DEFAULT_PERIOD = 100_000n;

/** The limits of a pod or of one container. Zero is no limit. */
export interface Demand {
  cpus: Fraction;
  memoryBytes: bigint;
  /** CPUs that it may run on; they count only where nobody has a quota. */
  cpuset: CpuList;
}

/** A VM's size at one time. */
export type Size = Pick<MachineSize, "vcpus" | "memoryMiB">;

/**
 * The size of a VM at its start, and how far it may grow. With static sizing it never does.
 *
 * @param demand Of the whole sandbox.
 * @throws {KataError} As {@linkcode staticSize}.
 */
export function startSize(
  { static_sandbox_resource_mgmt: isStatic }: Pick<RuntimeConfig, "static_sandbox_resource_mgmt">,
  { sizes, demand = demandOf() }: { sizes: ConfiguredSizes; demand?: Demand },
): MachineSize {
  if (isStatic) {
    const { vcpus, memoryMiB } = staticSize(demand, sizes);
    return { vcpus, maxVcpus: vcpus, memoryMiB, maxMemoryMiB: memoryMiB };
  }
  const vcpus = Math.max(1, Math.ceil(sizes.vcpus));
  const { memoryMiB, maxMemoryMiB } = sizes;
  return {
    vcpus,
    maxVcpus: Math.max(sizes.maxVcpus, vcpus),
    memoryMiB,
    maxMemoryMiB: Math.max(maxMemoryMiB, memoryMiB),
  };
}

/**
 * The limits in a container's specification, or in an update of them.
 *
 * @throws {KataError} INVALID_ARGUMENT: its CPUs are no list of CPUs.
 */
export function demandOf({ cpu, memory }: Resources = {}): Demand {
  return {
    cpus: share(BigInt(cpu?.quota ?? 0), BigInt(cpu?.period ?? 0)),
    memoryBytes: atLeastZero(BigInt(memory?.limit ?? 0)),
    cpuset: parseCpuList(cpu?.cpus ?? ""),
  };
}

/** The limits of a whole sandbox: a pod's by annotation, those of a single container by its own resources. */
export function sandboxDemand({ annotations = {}, linux }: Spec): Demand {
  if (![CPU_QUOTA, CPU_PERIOD, MEMORY].some((key) => annotations[key] !== undefined)) return demandOf(linux?.resources);
  const number = (key: string) => parseAnnotation(key, annotations[key] ?? "0");
  return {
    cpus: share(number(CPU_QUOTA), number(CPU_PERIOD)),
    memoryBytes: atLeastZero(number(MEMORY)),
    cpuset: [],
  };
}

/**
 * The size of a VM that never grows (B36): what is asked for and what the guest itself needs, or the configured size for
 * what has no limit.
 *
 * @throws {KataError} INVALID_ARGUMENT: there would be no memory. RESOURCE_EXHAUSTED: more memory than allowed.
 */
export function staticSize(demand: Demand, sizes: ConfiguredSizes): Size {
  const cpus = asked([demand]);
  const vcpus = isZero(cpus) ? fractionOf(sizes.vcpus) : sum([cpus, fractionOf(sizes.overheadVcpus)]);
  const wantedMiB = toMiB(demand.memoryBytes);
  const memoryMiB = wantedMiB === 0 ? sizes.memoryMiB : wantedMiB + sizes.overheadMiB;
  return checkSize({ vcpus: roundUp(vcpus), memoryMiB }, sizes);
}

/**
 * The size of a VM that grows: the configured size, and what its containers ask for (B35).
 *
 * @throws {KataError} As {@linkcode staticSize}.
 */
export function dynamicSize(demands: readonly Demand[], sizes: ConfiguredSizes): Size {
  const vcpus = sum([fractionOf(sizes.vcpus), asked(demands)]);
  const wantedMiB = toMiB(demands.reduce((bytes, { memoryBytes }) => bytes + memoryBytes, 0n));
  return checkSize({ vcpus: roundUp(vcpus), memoryMiB: sizes.memoryMiB + wantedMiB }, sizes);
}

/** vCPUs beyond the limit only mean less speed, so they are left out; memory that is missing would end processes. */
function checkSize({ vcpus, memoryMiB }: Size, { maxVcpus, maxMemoryMiB }: ConfiguredSizes): Size {
  if (memoryMiB <= 0) {
    throw new KataError(
      "INVALID_ARGUMENT",
      "Cannot size the VM: it would have 0 MiB; raise default_memory, overhead_memory or the pod's memory limit",
    );
  }
  if (memoryMiB > maxMemoryMiB) {
    const message = `Cannot size the VM: ${memoryMiB} MiB asked, the limit is ${maxMemoryMiB} MiB (default_maxmemory)`;
    throw new KataError("RESOURCE_EXHAUSTED", message);
  }
  return { vcpus: Math.min(Math.max(1, vcpus), maxVcpus), memoryMiB };
}

/** Quotas of all containers together; where there is none, the CPUs that they are bound to. */
function asked(demands: readonly Demand[]): Fraction {
  const quotas = sum(demands.map(({ cpus }) => cpus));
  if (!isZero(quotas)) return quotas;
  const cpus = unite(demands.map(({ cpuset }) => cpuset));
  return { numerator: BigInt(countCpus(cpus)), denominator: 1n };
}

function share(quota: bigint, period: bigint): Fraction {
  if (quota <= 0n) return ZERO;
  return { numerator: quota, denominator: period > 0n ? period : DEFAULT_PERIOD };
}

function isZero({ numerator }: Fraction): boolean {
  return numerator === 0n;
}

/** Rounds up. */
export function toMiB(bytes: bigint): number {
  return Number((bytes + MIB - 1n) / MIB);
}

function atLeastZero(value: bigint): bigint {
  return value > 0n ? value : 0n;
}

function parseAnnotation(key: string, text: string): bigint {
  if (!/^-?\d+$/.test(text)) {
    throw new KataError("INVALID_ARGUMENT", `Cannot parse annotation ${key} ${quoted(text)}: expected a whole number`);
  }
  return BigInt(text);
}
