import assert from "node:assert/strict";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type CgroupStats, noIo } from "../../oci/cgroup/stats.ts";
import * as v1 from "../../proto/cgroups_v1_pb.ts";
import * as v2 from "../../proto/cgroups_v2_pb.ts";
import type { SandboxStats } from "../../sandbox/stats.ts";
import { toMetrics } from "./metrics.ts";

const NOTHING = { usage: 0n, maxUsage: 0n, failures: 0n, limit: 0n };

const CGROUP: CgroupStats = {
  cpu: {
    total: 9_000n,
    user: 6_000n,
    system: 3_000n,
    perCpu: [4_000n, 5_000n],
    perCpuUser: [],
    perCpuSystem: [],
    throttling: { periods: 3n, throttledPeriods: 1n, throttledTime: 2_000n },
  },
  memory: {
    cache: 11n,
    usage: { usage: 100n, maxUsage: 200n, failures: 1n, limit: 300n },
    swap: NOTHING,
    kernel: NOTHING,
    useHierarchy: false,
    stat: new Map(
      Object.entries({ total_pgpgin: 5n, rss_huge: 6n, pgfault: 7n, unknown_counter: 9n }),
    ),
  },
  pids: { current: 2n, limit: 10n },
  io: {
    ...noIo(),
    serviceBytes: [
      { major: 8n, minor: 0n, op: "Read", value: 512n },
      { major: 8n, minor: 0n, op: "Write", value: 1024n },
    ],
    serviced: [{ major: 8n, minor: 0n, op: "Read", value: 1n }],
  },
  hugetlb: new Map([["2MB", { usage: 1n, maxUsage: 2n, failures: 3n }]]),
};

const ETH0 = {
  rxPackets: 0,
  txPackets: 2,
  rxBytes: 1,
  txBytes: 0,
  rxErrors: 0,
  txErrors: 0,
  rxDropped: 0,
  txDropped: 0,
};

const STATS: SandboxStats = { cgroup: CGROUP, network: new Map([["eth0", ETH0]]) };

Deno.test("toMetrics() makes cgroup v1 metrics, memory counters found by name", () => {
  const metrics = anyUnpack(toMetrics(STATS, "v1"), v1.MetricsSchema);
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
  const [{ name, rxBytes, txPackets } = {}] = metrics.network;
  assert.deepEqual({ name, rxBytes, txPackets }, { name: "eth0", rxBytes: 1n, txPackets: 2n });
});

Deno.test("toMetrics() makes cgroup v2 metrics in microseconds, with one entry per disk", () => {
  const metrics = anyUnpack(toMetrics(STATS, "v2"), v2.MetricsSchema);
  assert.equal(metrics?.cpu?.usageUsec, 9n);
  assert.equal(metrics.cpu.throttledUsec, 2n);
  assert.equal(metrics.memory?.usageLimit, 300n);
  const [disk] = metrics.io?.usage ?? [];
  assert.deepEqual([disk?.rbytes, disk?.wbytes, disk?.rios, disk?.wios], [512n, 1024n, 1n, 0n]);
});

Deno.test("pods A7: toMetrics() says of no limit of processes what each form says: 0, and the largest number", () => {
  const stats = { ...STATS, cgroup: { ...CGROUP, pids: { current: 2n, limit: 0n } } };
  assert.equal(anyUnpack(toMetrics(stats, "v1"), v1.MetricsSchema)?.pids?.limit, 0n);
  assert.equal(anyUnpack(toMetrics(stats, "v2"), v2.MetricsSchema)?.pids?.limit, 2n ** 64n - 1n);
});

Deno.test("toMetrics() makes empty metrics of empty statistics", () => {
  const metrics = anyUnpack(toMetrics({ cgroup: undefined, network: new Map() }, "v1"), v1.MetricsSchema);
  assert.equal(metrics?.cpu, undefined);
});

Deno.test("F7: toMetrics() of 100,000 devices takes one pass, and sums stay within their fields", () => {
  const most = 2n ** 64n - 1n;
  const entries = Array.from(
    { length: 100_000 },
    (_, minor) => ({ major: 8n, minor: BigInt(minor), op: "READ", value: 1n }),
  );
  const odd = ["read", "constructor", "__proto__", ""].map((op) => ({ major: 8n, minor: 0n, op, value: most }));
  const cgroup = { ...CGROUP, io: { ...noIo(), serviceBytes: [...entries, ...odd] } };
  // With one search a device this is 10^10 steps.
  const metrics = anyUnpack(toMetrics({ ...STATS, cgroup }, "v2"), v2.MetricsSchema);
  assert.equal(metrics?.io?.usage.length, 100_000);
  assert.deepEqual([metrics.io.usage[0]?.rbytes, metrics.io.usage[1]?.rbytes], [most, 1n]);
});
