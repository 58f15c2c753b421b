/**
 * Limits as properties of a systemd unit. Pure. Limits that systemd has no property for are set in the cgroup alone.
 *
 * @see https://www.freedesktop.org/software/systemd/man/systemd.resource-control.html
 * @module
 */
import { KataError } from "../../../base/error.ts";
import { cpuWeight } from "../v2/cpu.ts";
import { swapMax } from "../v2/memory.ts";
import { cpuNumbers } from "../../init/scheduling.ts";
import type { BlockIoResources, CpuResources, Int64, MemoryResources, Resources } from "../../spec/spec.ts";
import type { Variant } from "../../../systemd/dbus_wire.ts";
import { type Property, property } from "../../../systemd/manager.ts";

/** Versions that decide which properties systemd understands. */
export interface PropertyContext {
  /** Version of cgroups. */
  version: 1 | 2;
  /** Version of systemd: 0 if it does not tell. */
  systemdVersion: number;
}

const INFINITY = 0xffff_ffff_ffff_ffffn;
const DEFAULT_PERIOD_US = 100_000n;

export function resourceProperties(resources: Resources, context: PropertyContext): Property[] {
  const { memory, cpu, pids, blockIO } = resources;
  return [
    ...memory ? memoryProperties(memory, context) : [],
    ...cpu ? cpuProperties(cpu, context) : [],
    ...blockIO ? ioProperties(blockIO, context) : [],
    ...pids ? limitProperty("TasksMax", pids.limit) : [],
  ];
}

/** Property for a limit; none if it is absent or 0, which stands for "not given". */
function limitProperty(name: string, limit: Int64 | undefined): Property[] {
  const value = BigInt(limit ?? 0);
  return value === 0n ? [] : [property(name, "t", value < 0n ? INFINITY : value)];
}

function memoryProperties(memory: MemoryResources, { version }: PropertyContext): Property[] {
  if (version === 1) return limitProperty("MemoryLimit", memory.limit);
  const swap = swapMax(memory);
  return [
    ...limitProperty("MemoryMax", memory.limit),
    ...limitProperty("MemoryLow", memory.reservation),
    ...swap === undefined ? [] : [property("MemorySwapMax", "t", swap < 0n ? INFINITY : swap)],
  ];
}

function cpuProperties(cpu: CpuResources, { version, systemdVersion }: PropertyContext): Property[] {
  const shares = BigInt(cpu.shares ?? 0);
  const weight = version === 1 ? property("CPUShares", "t", shares) : property("CPUWeight", "t", cpuWeight(shares));
  return [
    ...shares === 0n ? [] : [weight],
    ...quotaProperties(cpu, systemdVersion),
    // On v1 systemd has no cpuset.
    ...version === 2 && systemdVersion >= 244
      ? [...setProperty("AllowedCPUs", cpu.cpus), ...setProperty("AllowedMemoryNodes", cpu.mems)]
      : [],
  ];
}

function quotaProperties({ quota = 0, period = 0 }: CpuResources, systemdVersion: number): Property[] {
  const [quotaUs, periodUs] = [BigInt(quota), BigInt(period)];
  if (quotaUs === 0n && periodUs === 0n) return [];
  const hasPeriod = periodUs !== 0n && systemdVersion >= 242;
  return [
    ...hasPeriod ? [property("CPUQuotaPeriodUSec", "t", periodUs)] : [],
    property("CPUQuotaPerSecUSec", "t", quotaUs > 0n ? perSecond(quotaUs, periodUs || DEFAULT_PERIOD_US) : INFINITY),
  ];
}

/** systemd keeps whole percents: rounded up, so that it never takes away what was granted. */
function perSecond(quotaUs: bigint, periodUs: bigint): bigint {
  const percent = 10_000n;
  const exact = (quotaUs * 1_000_000n) / periodUs;
  return ((exact + percent - 1n) / percent) * percent;
}

/** A list such as `0-3` as a mask, lowest byte first. */
function setProperty(name: string, list: string | undefined): Property[] {
  if (!list) return [];
  const numbers = cpuNumbers(list);
  const mask = new Uint8Array((Math.max(...numbers) >> 3) + 1);
  for (const number of numbers) mask[number >> 3]! |= 1 << (number & 7);
  return [property(name, "ay", [...mask])];
}

function ioProperties({ weight = 0 }: BlockIoResources, { version }: PropertyContext): Property[] {
  // The scale of IOWeight differs from that of the specification, and writing both files would fight.
  return version === 1 ? limitProperty("BlockIOWeight", weight) : [];
}

const PREFIX = "org.systemd.property.";

/** Annotations such as `org.systemd.property.TimeoutStopUSec: uint64 20000000`. */
export function annotationProperties(annotations: Readonly<Record<string, string>>): Property[] {
  return Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX)).map(([key, text]) => {
    const name = key.slice(PREFIX.length);
    if (!/^[A-Za-z0-9]{3,}$/.test(name)) {
      throw new KataError("INVALID_ARGUMENT", `Cannot use annotation "${key}": it names no property`);
    }
    const value = parseText(text.trim());
    if (value === undefined) {
      throw new KataError(
        "INVALID_ARGUMENT",
        `Cannot use annotation "${key}": "${text}" is not in GVariant's text form`,
      );
    }
    return inMicroseconds(name, value);
  });
}

const NUMBER_TYPES: Readonly<Record<string, string>> = {
  byte: "y",
  int16: "n",
  uint16: "q",
  int32: "i",
  uint32: "u",
  int64: "x",
  uint64: "t",
};

/** The part of GVariant's text form that properties need: booleans, integers, strings and lists of strings. */
function parseText(text: string): Variant | undefined {
  if (text === "true" || text === "false") return { signature: "b", value: text === "true" };
  const [, type = "int32", digits] = /^(?:([a-z]+\d*)\s+)?([-+]?\d+)$/.exec(text) ?? [];
  const signature = NUMBER_TYPES[type];
  if (digits !== undefined && signature !== undefined) {
    return { signature, value: "xt".includes(signature) ? BigInt(digits) : Number(digits) };
  }
  const string = /^'([^'\\]*)'$|^"([^"\\]*)"$/.exec(text);
  if (string !== null) return { signature: "s", value: string[1] ?? string[2] ?? "" };
  const list = /^\[(.*)\]$/.exec(text)?.[1];
  if (list === undefined) return undefined;
  const words = list.split(",").map((word) => parseText(word.trim()));
  return words.every((word) => word?.signature === "s")
    ? { signature: "as", value: words.map((word) => word!.value) }
    : undefined;
}

/** `TimeoutStopSec` is what unit files say; on the bus the property is `TimeoutStopUSec`. */
function inMicroseconds(name: string, { signature, value }: Variant): Property {
  const stem = /^(.*[^U])Sec$/.exec(name)?.[1];
  if (stem === undefined || !"ynqiuxt".includes(signature)) return [name, { signature, value }];
  return property(`${stem}USec`, "t", BigInt(value as bigint) * 1_000_000n);
}
