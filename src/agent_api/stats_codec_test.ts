import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type CgroupStats, NO_LIMIT, noIo } from "../oci/cgroup/stats.ts";
import { CgroupStatsSchema } from "../proto/agent_pb.ts";
import { statsFromWire, statsToWire } from "./stats_codec.ts";

function memory(usage: bigint) {
  return { usage, maxUsage: usage + 1n, failures: usage + 2n, limit: NO_LIMIT };
}

const STATS: CgroupStats = {
  cpu: {
    total: 9n,
    user: 6n,
    system: 3n,
    perCpu: [4n, 5n],
    perCpuUser: [],
    perCpuSystem: [],
    throttling: { periods: 3n, throttledPeriods: 1n, throttledTime: 2n },
  },
  memory: {
    cache: 11n,
    usage: memory(100n),
    swap: memory(200n),
    kernel: memory(300n),
    useHierarchy: true,
    stat: new Map([["pgfault", 7n], ["__proto__", 8n]]),
  },
  pids: { current: 2n, limit: 10n },
  io: {
    ...noIo(),
    serviceBytes: [{ major: 8n, minor: 1n, op: "Read", value: 512n }],
    sectors: [{ major: 8n, minor: 1n, op: "", value: 1n }],
  },
  hugetlb: new Map([["2MB", { usage: 1n, maxUsage: 2n, failures: 3n }]]),
};

function overWire(stats: CgroupStats) {
  return fromBinary(CgroupStatsSchema, toBinary(CgroupStatsSchema, create(CgroupStatsSchema, statsToWire(stats))));
}

Deno.test("statsFromWire() gives back what statsToWire() took, and nothing of the messages", () => {
  assert.deepStrictEqual(statsFromWire(overWire(STATS)), STATS);
});

Deno.test("statsFromWire() takes parts that an agent leaves out for unused", () => {
  const { cpu, pids, memory, io, hugetlb } = statsFromWire(create(CgroupStatsSchema));
  assert.deepEqual([cpu.total, cpu.throttling.periods, pids, io, hugetlb.size], [
    0n,
    0n,
    { current: 0n, limit: 0n },
    noIo(),
    0,
  ]);
  assert.deepEqual([memory.usage, memory.stat.size], [{ usage: 0n, maxUsage: 0n, failures: 0n, limit: 0n }, 0]);
});
