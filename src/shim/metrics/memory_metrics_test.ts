/** Row pods A7: the host's version and the guest's in all four combinations. */
import assert from "node:assert/strict";
import { type MemoryStats, NO_LIMIT } from "../../oci/cgroup/stats.ts";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as v1 from "../../proto/cgroups_v1_pb.ts";
import * as v2 from "../../proto/cgroups_v2_pb.ts";
import { noIo } from "../../oci/cgroup/stats.ts";
import { toMetrics } from "./metrics.ts";

const MIB = 1n << 20n;
const NO_LIMIT_V1 = 0x7ffffffffffff000n;
const NO_COUNTER = { usage: 0n, maxUsage: 0n, failures: 0n, limit: NO_LIMIT };

/** A group as v2 tells of it: 80 MiB of page cache of which 3 are in use, 60 MiB of heap, 2 of swap. */
const AS_V2: MemoryStats = {
  cache: 80n * MIB,
  usage: { usage: 146n * MIB, maxUsage: 150n * MIB, failures: 4n, limit: 256n * MIB },
  swap: { usage: 2n * MIB, maxUsage: 3n * MIB, failures: 0n, limit: 64n * MIB },
  kernel: { ...NO_COUNTER, usage: 6n * MIB },
  useHierarchy: true,
  stat: new Map(Object.entries({
    anon: 60n * MIB,
    file: 80n * MIB,
    shmem: 1n,
    file_mapped: 2n,
    file_dirty: 3n,
    file_writeback: 4n,
    anon_thp: 5n,
    inactive_anon: 6n,
    active_anon: 7n,
    inactive_file: 77n * MIB,
    active_file: 3n * MIB,
    unevictable: 8n,
    pgfault: 9n,
    pgmajfault: 10n,
    workingset_refault_anon: 11n,
  })),
};

/** A group with one below, whose share is in the totals only. */
const AS_V1: MemoryStats = {
  ...AS_V2,
  swap: { usage: 148n * MIB, maxUsage: 153n * MIB, failures: 0n, limit: 320n * MIB },
  stat: new Map(Object.entries({
    cache: 1n * MIB,
    rss: 0n,
    total_cache: 80n * MIB,
    total_rss: 60n * MIB,
    total_rss_huge: 5n,
    total_shmem: 1n,
    total_mapped_file: 2n,
    total_dirty: 3n,
    total_writeback: 4n,
    total_inactive_anon: 6n,
    total_active_anon: 7n,
    total_inactive_file: 77n * MIB,
    total_active_file: 3n * MIB,
    total_unevictable: 8n,
    total_pgfault: 9n,
    total_pgmajfault: 10n,
    hierarchical_memory_limit: 256n * MIB,
    hierarchical_memsw_limit: 320n * MIB,
  })),
};

function statsOf(memory: MemoryStats) {
  const times = { total: 0n, user: 0n, system: 0n, perCpu: [], perCpuUser: [], perCpuSystem: [] };
  const cpu = { ...times, throttling: { periods: 0n, throttledPeriods: 0n, throttledTime: 0n } };
  const cgroup = { cpu, memory, pids: { current: 1n, limit: 0n }, io: noIo(), hugetlb: new Map() };
  return { cgroup, network: new Map() };
}

function onV1(memory: MemoryStats): v1.MemoryStat {
  return anyUnpack(toMetrics(statsOf(memory), "v1"), v1.MetricsSchema)!.memory!;
}

function onV2(memory: MemoryStats): v2.MemoryStat {
  return anyUnpack(toMetrics(statsOf(memory), "v2"), v2.MetricsSchema)!.memory!;
}

for (const [guest, memory] of Object.entries({ v1: AS_V1, v2: AS_V2 })) {
  Deno.test(`pods A7: what engines read of v1's form is there for a guest that counts as ${guest}`, () => {
    const { usage, swap, totalInactiveFile, totalRss, totalCache, ...rest } = onV1(memory);
    assert.equal((usage!.usage - totalInactiveFile) / MIB, 69n, "the working set");
    assert.deepEqual([totalRss / MIB, totalCache / MIB], [60n, 80n]);
    assert.deepEqual([rest.totalPgFault, rest.totalPgMajFault], [9n, 10n]);
    assert.deepEqual([rest.totalMappedFile, rest.totalDirty, rest.totalWriteback, rest.totalRssHuge], [2n, 3n, 4n, 5n]);
    assert.deepEqual([rest.totalInactiveAnon, rest.totalActiveAnon, rest.totalUnevictable], [6n, 7n, 8n]);
    assert.deepEqual([rest.hierarchicalMemoryLimit, usage!.limit], [256n * MIB, 256n * MIB]);
    assert.deepEqual([swap!.usage, swap!.limit], [148n * MIB, 320n * MIB], "swap with the memory");
  });

  Deno.test(`pods A7: what engines read of v2's form is there for a guest that counts as ${guest}`, () => {
    const stat = onV2(memory);
    assert.equal((stat.usage - stat.inactiveFile) / MIB, 69n, "the working set");
    assert.deepEqual([stat.anon / MIB, stat.file / MIB, stat.activeFile / MIB], [60n, 80n, 3n]);
    assert.deepEqual([stat.pgfault, stat.pgmajfault, stat.shmem], [9n, 10n, 1n]);
    assert.deepEqual([stat.fileMapped, stat.fileDirty, stat.fileWriteback, stat.anonThp], [2n, 3n, 4n, 5n]);
    assert.deepEqual([stat.inactiveAnon, stat.activeAnon, stat.unevictable], [6n, 7n, 8n]);
    assert.deepEqual([stat.usageLimit, stat.swapUsage, stat.swapLimit], [256n * MIB, 2n * MIB, 64n * MIB]);
    assert.equal(stat.swapMaxUsage, 3n * MIB);
  });
}

Deno.test("pods A7: a limit that is none has each form's own number", () => {
  for (const [stat, none] of [[AS_V2.stat, NO_LIMIT], [AS_V1.stat, NO_LIMIT_V1]] as const) {
    const counter = { ...NO_COUNTER, usage: MIB, limit: none };
    const memory = { ...AS_V2, usage: counter, swap: counter, stat };
    const { usage, swap } = onV1(memory);
    assert.deepEqual([usage?.limit, swap?.limit], [NO_LIMIT_V1, NO_LIMIT_V1]);
    const { usageLimit, swapLimit } = onV2(memory);
    assert.deepEqual([usageLimit, swapLimit], [NO_LIMIT, NO_LIMIT]);
  }
});

Deno.test("pods A7: sums of what a guest says stay within 64 bits", () => {
  const most = { ...NO_COUNTER, usage: 2n ** 64n - 1n, maxUsage: 2n ** 64n - 1n };
  const { swap } = onV1({ ...AS_V2, usage: most, swap: most });
  assert.deepEqual([swap?.usage, swap?.max], [2n ** 64n - 1n, 2n ** 64n - 1n]);
});
