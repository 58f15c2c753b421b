/**
 * Memory of a cgroup in the forms of v1 and of v2. A guest counts as its own kernel does, whatever the host's version is,
 * and the same counter has another name, or another sum, in the other form. Pure.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/memory.html#stat-file
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
 * @module
 */
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { type MemoryCounter, type MemoryStats, NO_LIMIT } from "../../oci/cgroup/stats.ts";
import * as v1 from "../../proto/cgroups_v1_pb.ts";
import * as v2 from "../../proto/cgroups_v2_pb.ts";

/** Counters of `memory.stat` that both have, as v1 and v2 call them. v1 has each twice: without and with the groups below. */
const SAME_COUNTERS = [
  ["cache", "file"],
  ["rss", "anon"],
  ["rss_huge", "anon_thp"],
  ["mapped_file", "file_mapped"],
  ["dirty", "file_dirty"],
  ["writeback", "file_writeback"],
  ["pgfault", "pgfault"],
  ["pgmajfault", "pgmajfault"],
  ["inactive_anon", "inactive_anon"],
  ["active_anon", "active_anon"],
  ["inactive_file", "inactive_file"],
  ["active_file", "active_file"],
  ["unevictable", "unevictable"],
  ["shmem", "shmem"],
] as const;

/** Number of v1 where there is no limit: the last page below 2^63. */
const NO_LIMIT_V1 = 2n ** 63n - 4096n;
const LEAST_UNLIMITED = 2n ** 62n;

/** The fields of v1's `MemoryStat`. */
export function memoryV1(memory: MemoryStats): MessageInitShape<typeof v1.MemoryStatSchema> {
  const { usage, kernel } = memory;
  const swap = isV2(memory) ? withMemory(memory) : memory.swap;
  return {
    ...byName(v1.MemoryStatSchema, isV2(memory) ? statV1(memory, swap) : memory.stat),
    cache: memory.cache,
    usage: entryV1(usage),
    swap: entryV1(swap),
    kernel: entryV1(kernel),
  };
}

/** The fields of v2's `MemoryStat`. */
export function memoryV2(memory: MemoryStats): MessageInitShape<typeof v2.MemoryStatSchema> {
  const { usage } = memory;
  const swap = isV2(memory) ? memory.swap : withoutMemory(memory);
  return {
    ...byName(v2.MemoryStatSchema, isV2(memory) ? memory.stat : statV2(memory)),
    usage: usage.usage,
    usageLimit: limitV2(usage.limit),
    maxUsage: usage.maxUsage,
    swapUsage: swap.usage,
    swapLimit: limitV2(swap.limit),
    swapMaxUsage: swap.maxUsage,
  };
}

/** Only v2 knows a counter of this name, and always has it. */
function isV2({ stat }: MemoryStats): boolean {
  return stat.has("anon");
}

function statV1({ stat, usage }: MemoryStats, swap: MemoryCounter): ReadonlyMap<string, bigint> {
  const counters = SAME_COUNTERS.flatMap(([name, other]) => {
    const value = stat.get(other);
    return value === undefined ? [] : [[name, value], [`total_${name}`, value]] as const;
  });
  return new Map<string, bigint>([
    ...counters,
    ["hierarchical_memory_limit", limitV1(usage.limit)],
    ["hierarchical_swap_limit", limitV1(swap.limit)],
  ]);
}

function statV2({ stat }: MemoryStats): ReadonlyMap<string, bigint> {
  return new Map(SAME_COUNTERS.flatMap(([name, other]) => {
    const value = stat.get(`total_${name}`) ?? stat.get(name);
    return value === undefined ? [] : [[other, value]];
  }));
}

/** A guest says what it likes: a sum of two numbers of 64 bits need not be one. */
function bounded(sum: bigint): bigint {
  return sum > MAX_UINT64 ? MAX_UINT64 : sum;
}

const MAX_UINT64 = 2n ** 64n - 1n;

/** v1 counts swap together with memory. The most of both together is not known: it is no more than this. */
function withMemory({ usage: memory, swap }: MemoryStats): MemoryCounter {
  return {
    usage: bounded(memory.usage + swap.usage),
    maxUsage: bounded(memory.maxUsage + swap.maxUsage),
    failures: swap.failures,
    limit: [memory, swap].some(({ limit }) => limit >= LEAST_UNLIMITED) ? NO_LIMIT : memory.limit + swap.limit,
  };
}

function withoutMemory({ usage: memory, swap }: MemoryStats): MemoryCounter {
  const rest = (both: bigint, part: bigint) => both > part ? both - part : 0n;
  return {
    usage: rest(swap.usage, memory.usage),
    maxUsage: rest(swap.maxUsage, memory.maxUsage),
    failures: swap.failures,
    limit: swap.limit >= LEAST_UNLIMITED ? NO_LIMIT : rest(swap.limit, memory.limit),
  };
}

function entryV1({ limit, usage, maxUsage, failures }: MemoryCounter) {
  return { limit: limitV1(limit), usage, max: maxUsage, failcnt: failures };
}

function limitV1(limit: bigint): bigint {
  return limit >= LEAST_UNLIMITED ? NO_LIMIT_V1 : limit;
}

function limitV2(limit: bigint): bigint {
  return limit >= LEAST_UNLIMITED ? NO_LIMIT : limit;
}

/** The file `memory.stat` and the message name the same counters, but for underscores: `pgpgin`, `pg_pg_in`. */
function byName(schema: DescMessage, counters: ReadonlyMap<string, bigint>): Record<string, bigint> {
  const plain = new Map([...counters].map(([name, value]) => [name.replaceAll("_", ""), value]));
  const entries = schema.fields.flatMap((field) => {
    const value = field.fieldKind === "scalar" ? plain.get(field.name.replaceAll("_", "")) : undefined;
    return value === undefined ? [] : [[field.localName, value]];
  });
  return Object.fromEntries(entries);
}
