import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { StatsContainerResponseSchema } from "../proto/agent_pb.ts";
import * as v1 from "../proto/cgroups_v1_pb.ts";
import * as v2 from "../proto/cgroups_v2_pb.ts";
import { toMetrics } from "./metrics.ts";

const STATS: MessageInitShape<typeof StatsContainerResponseSchema> = {
  cgroupStats: {
    cpuStats: {
      cpuUsage: {
        totalUsage: 9_000n,
        usageInUsermode: 6_000n,
        usageInKernelmode: 3_000n,
        percpuUsage: [4_000n, 5_000n],
      },
      throttlingData: { periods: 3n, throttledPeriods: 1n, throttledTime: 2_000n },
    },
    memoryStats: {
      cache: 11n,
      usage: { usage: 100n, maxUsage: 200n, failcnt: 1n, limit: 300n },
      stats: { total_pgpgin: 5n, rss_huge: 6n, pgfault: 7n, file_mapped: 8n, unknown_counter: 9n },
    },
    pidsStats: { current: 2n, limit: 10n },
    blkioStats: {
      ioServiceBytesRecursive: [
        { major: 8n, minor: 0n, op: "Read", value: 512n },
        { major: 8n, minor: 0n, op: "Write", value: 1024n },
      ],
      ioServicedRecursive: [{ major: 8n, minor: 0n, op: "Read", value: 1n }],
    },
    hugetlbStats: { "2MB": { usage: 1n, maxUsage: 2n, failcnt: 3n } },
  },
  networkStats: [{ name: "eth0", rxBytes: 1n, txPackets: 2n }],
};

Deno.test("toMetrics() makes cgroup v1 metrics, memory counters found by name", () => {
  const metrics = anyUnpack(toMetrics(create(StatsContainerResponseSchema, STATS), "v1"), v1.MetricsSchema);
  assert.equal(metrics?.cpu?.usage?.total, 9_000n);
  assert.deepEqual(metrics.cpu.usage.perCpu, [4_000n, 5_000n]);
  assert.equal(metrics.cpu.throttling?.throttledTime, 2_000n);
  assert.equal(metrics.memory?.cache, 11n);
  assert.equal(metrics.memory.totalPgPgIn, 5n);
  assert.equal(metrics.memory.rssHuge, 6n);
  assert.equal(metrics.memory.pgFault, 7n);
  assert.equal(metrics.memory.usage?.max, 200n);
  assert.equal(metrics.pids?.current, 2n);
  assert.equal(metrics.blkio?.ioServiceBytesRecursive[1]?.value, 1024n);
  assert.deepEqual(metrics.hugetlb.map(({ pagesize, max }) => ({ pagesize, max })), [{ pagesize: "2MB", max: 2n }]);
  assert.equal(metrics.network[0]?.txPackets, 2n);
});

Deno.test("toMetrics() makes cgroup v2 metrics in microseconds, with one entry per disk", () => {
  const metrics = anyUnpack(toMetrics(create(StatsContainerResponseSchema, STATS), "v2"), v2.MetricsSchema);
  assert.equal(metrics?.cpu?.usageUsec, 9n);
  assert.equal(metrics.cpu.throttledUsec, 2n);
  assert.equal(metrics.memory?.fileMapped, 8n);
  assert.equal(metrics.memory.usageLimit, 300n);
  const [disk] = metrics.io?.usage ?? [];
  assert.deepEqual([disk?.rbytes, disk?.wbytes, disk?.rios, disk?.wios], [512n, 1024n, 1n, 0n]);
});

Deno.test("toMetrics() makes empty metrics of empty statistics", () => {
  const metrics = anyUnpack(toMetrics(create(StatsContainerResponseSchema), "v1"), v1.MetricsSchema);
  assert.equal(metrics?.cpu, undefined);
});

Deno.test("F7: toMetrics() of 100,000 devices takes one pass, and sums stay within their fields", () => {
  const most = 2n ** 64n - 1n;
  const entries = Array.from(
    { length: 100_000 },
    (_, minor) => ({ major: 8n, minor: BigInt(minor), op: "READ", value: 1n }),
  );
  const odd = ["read", "constructor", "__proto__", ""].map((op) => ({ major: 8n, minor: 0n, op, value: most }));
  const stats = { cgroupStats: { blkioStats: { ioServiceBytesRecursive: [...entries, ...odd] } } };
  // With one search a device this is 10^10 steps.
  const metrics = anyUnpack(toMetrics(create(StatsContainerResponseSchema, stats), "v2"), v2.MetricsSchema);
  assert.equal(metrics?.io?.usage.length, 100_000);
  assert.deepEqual([metrics.io.usage[0]?.rbytes, metrics.io.usage[1]?.rbytes], [most, 1n]);
});
