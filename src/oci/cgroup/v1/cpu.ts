/** CPU time of a cgroup on v1: the controllers `cpu` and `cpuacct`. @module */
import {
  parseCount,
  readCgroupFile,
  readCgroupValue,
  readFlatKeyed,
  writeCgroupFile,
} from "../../../linux/cgroup/file.ts";
import type { CpuResources } from "../../spec/spec.ts";
import type { CpuStats } from "../stats.ts";

/** Range of `cpu.shares`; outside of it the kernel silently uses the nearest bound. */
const SHARES = { least: 2n, most: 262_144n };

const FILES = [
  ["realtimePeriod", "cpu.rt_period_us"],
  ["realtimeRuntime", "cpu.rt_runtime_us"],
] as const satisfies readonly (readonly [keyof CpuResources, string])[];

/** @throws {RangeError} The shares are out of range. */
export function applyCpu(cgroup: string, cpu: CpuResources): void {
  // An idle group has no shares to set: it is woken before and put to rest after.
  if (cpu.idle === 0) writeCgroupFile(cgroup, "cpu.idle", 0);
  if (cpu.shares) applyShares(cgroup, BigInt(cpu.shares));
  if (cpu.idle) writeCgroupFile(cgroup, "cpu.idle", cpu.idle);
  for (const [field, file] of FILES) if (cpu[field]) writeCgroupFile(cgroup, file, cpu[field]);
  const burst = cpu.burst === undefined ? undefined : BigInt(cpu.burst);
  // A burst may not exceed the quota: shrink it before, grow it after.
  if (burst === 0n) writeCgroupFile(cgroup, "cpu.cfs_burst_us", burst);
  applyQuota(cgroup, BigInt(cpu.quota ?? 0), BigInt(cpu.period ?? 0));
  if (burst !== undefined && burst !== 0n) writeCgroupFile(cgroup, "cpu.cfs_burst_us", burst);
}

function applyShares(cgroup: string, shares: bigint): void {
  const { least, most } = SHARES;
  if (shares < least || shares > most) {
    throw new RangeError(`Cannot give ${shares} CPU shares: ${least} to ${most} are allowed`);
  }
  writeCgroupFile(cgroup, "cpu.shares", shares);
}

/** The kernel judges each write alone, by the ratio it leads to, against the group above: so the order matters. */
function applyQuota(cgroup: string, quota: bigint, period: bigint): void {
  const writePeriod = () => {
    if (period !== 0n) writeCgroupFile(cgroup, "cpu.cfs_period_us", period);
  };
  const writeQuota = () => {
    if (quota !== 0n) writeCgroupFile(cgroup, "cpu.cfs_quota_us", quota < 0n ? -1n : quota);
  };
  const before = readCgroupValue(cgroup, "cpu.cfs_period_us");
  // A longer period first lowers the ratio, a shorter one raises it.
  const isLonger = typeof before === "bigint" && period > before;
  for (const write of isLonger ? [writePeriod, writeQuota] : [writeQuota, writePeriod]) write();
}

/** The kernel's unit in `cpuacct.stat`: a hundredth of a second on every architecture, in nanoseconds. */
const TICK = 10_000_000n;

export function cpuStats(cpu: string, cpuacct: string): CpuStats {
  const throttling = readFlatKeyed(cpu, "cpu.stat");
  const ticks = readFlatKeyed(cpuacct, "cpuacct.stat");
  const total = readCgroupValue(cpuacct, "cpuacct.usage");
  const perCpu = readCgroupFile(cpuacct, "cpuacct.usage_percpu") ?? "";
  // A line of titles, then one a CPU: its number, user and system time.
  const all = (readCgroupFile(cpuacct, "cpuacct.usage_all") ?? "").split("\n").slice(1).map((line) => line.split(" "));
  const count = (text: string, file: string) => parseCount(text, `${cpuacct}/cpuacct.${file}`);
  return {
    total: typeof total === "bigint" ? total : 0n,
    user: (ticks.get("user") ?? 0n) * TICK,
    system: (ticks.get("system") ?? 0n) * TICK,
    perCpu: perCpu.split(" ").filter((value) => value !== "").map((value) => count(value, "usage_percpu")),
    perCpuUser: all.map(([, user = "0"]) => count(user, "usage_all")),
    perCpuSystem: all.map(([, , system = "0"]) => count(system, "usage_all")),
    throttling: {
      periods: throttling.get("nr_periods") ?? 0n,
      throttledPeriods: throttling.get("nr_throttled") ?? 0n,
      throttledTime: throttling.get("throttled_time") ?? 0n,
    },
  };
}
