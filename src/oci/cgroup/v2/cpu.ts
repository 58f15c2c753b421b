/** CPU time of a cgroup on v2. @see https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu @module */
import { readFlatKeyed, writeCgroupFile } from "../../../linux/cgroup/file.ts";
import type { CpuResources } from "../../spec/spec.ts";
import type { CpuStats } from "../stats.ts";

export function applyCpu(cgroup: string, cpu: CpuResources): void {
  // An idle group has no weight to set: it is woken before and put to rest after.
  if (cpu.idle === 0) writeCgroupFile(cgroup, "cpu.idle", 0);
  if (cpu.shares !== undefined && BigInt(cpu.shares) !== 0n) {
    writeCgroupFile(cgroup, "cpu.weight", cpuWeight(BigInt(cpu.shares)));
  }
  if (cpu.idle) writeCgroupFile(cgroup, "cpu.idle", cpu.idle);
  const burst = cpu.burst === undefined ? undefined : BigInt(cpu.burst);
  // A burst may not exceed the quota: shrink it before, grow it after.
  if (burst === 0n) writeCgroupFile(cgroup, "cpu.max.burst", burst);
  const max = cpuMax(cpu);
  if (max !== undefined) writeCgroupFile(cgroup, "cpu.max", max);
  if (burst !== undefined && burst !== 0n) writeCgroupFile(cgroup, "cpu.max.burst", burst);
}

/**
 * Maps the range of v1, 2 to 262144, on that of v2, 1 to 10000, and the default of one, 1024, on that of the other, 100:
 * a curve through these three, the same in all newer runtimes, so that a group among those of others gets its part.
 */
export function cpuWeight(shares: bigint): bigint {
  if (shares <= 2n) return 1n;
  if (shares >= 262144n) return 10000n;
  const log = Math.log2(Number(shares));
  return BigInt(Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34)));
}

/** `QUOTA PERIOD`; the kernel keeps the period where it is left out. */
function cpuMax({ quota = 0, period = 0 }: CpuResources): string | undefined {
  const [quotaUs, periodUs] = [BigInt(quota), BigInt(period)];
  if (quotaUs === 0n && periodUs === 0n) return undefined;
  const limit = quotaUs > 0n ? String(quotaUs) : "max";
  return periodUs > 0n ? `${limit} ${periodUs}` : limit;
}

export function cpuStats(cgroup: string): CpuStats {
  const stat = readFlatKeyed(cgroup, "cpu.stat");
  const nanoseconds = (key: string) => (stat.get(key) ?? 0n) * 1000n;
  return {
    total: nanoseconds("usage_usec"),
    user: nanoseconds("user_usec"),
    system: nanoseconds("system_usec"),
    perCpu: [],
    perCpuUser: [],
    perCpuSystem: [],
    throttling: {
      periods: stat.get("nr_periods") ?? 0n,
      throttledPeriods: stat.get("nr_throttled") ?? 0n,
      throttledTime: nanoseconds("throttled_usec"),
    },
  };
}
