/** Block devices of a cgroup on v2. @see https://docs.kernel.org/admin-guide/cgroup-v2.html#io @module */
import { parseCount, readCgroupFile, readNestedKeyed, writeCgroupFile } from "../../../linux/cgroup/file.ts";
import type { BlockIoResources, ThrottleDevice } from "../../spec/spec.ts";
import { type IoEntry, type IoStats, noIo } from "../stats.ts";

const THROTTLES = [
  ["throttleReadBpsDevice", "rbps"],
  ["throttleWriteBpsDevice", "wbps"],
  ["throttleReadIOPSDevice", "riops"],
  ["throttleWriteIOPSDevice", "wiops"],
] as const satisfies readonly (readonly [keyof BlockIoResources, string])[];

export function applyIo(cgroup: string, io: BlockIoResources): void {
  applyWeight(cgroup, io);
  for (const [field, key] of THROTTLES) {
    for (const device of io[field] ?? []) writeCgroupFile(cgroup, "io.max", throttle(device, key));
  }
}

/** The BFQ scheduler has the range of v1, 1 to 1000; the other weight goes from 1 to 10000. */
function applyWeight(cgroup: string, { weight, weightDevice = [] }: BlockIoResources): void {
  const isBfq = readCgroupFile(cgroup, "io.bfq.weight") !== undefined;
  const file = isBfq ? "io.bfq.weight" : "io.weight";
  if (weight) writeCgroupFile(cgroup, file, isBfq ? weight : ioWeight(weight));
  for (const device of weightDevice) {
    if (!device.weight) continue;
    const value = isBfq ? device.weight : ioWeight(device.weight);
    writeCgroupFile(cgroup, file, `${device.major}:${device.minor} ${value}`);
  }
}

/** Maps 10 to 1000 on 1 to 10000. */
export function ioWeight(weight: number): number {
  return 1 + Math.trunc(((Math.min(Math.max(weight, 10), 1000) - 10) * 9999) / 990);
}

function throttle({ major, minor, rate }: ThrottleDevice, key: string): string {
  return `${major}:${minor} ${key}=${BigInt(rate) === 0n ? "max" : rate}`;
}

const STAT_KEYS = [
  ["rbytes", "serviceBytes", "Read"],
  ["wbytes", "serviceBytes", "Write"],
  ["dbytes", "serviceBytes", "Discard"],
  ["rios", "serviced", "Read"],
  ["wios", "serviced", "Write"],
  ["dios", "serviced", "Discard"],
] as const satisfies readonly (readonly [string, keyof IoStats, string])[];

export function ioStats(cgroup: string): IoStats {
  const stats = noIo();
  for (const [device, values] of readNestedKeyed(cgroup, "io.stat")) {
    const [major, minor] = device.split(":");
    if (!/^\d+:\d+$/.test(device)) continue;
    for (const [key, list, op] of STAT_KEYS) {
      const value = values.get(key);
      if (value === undefined) continue;
      const entry: IoEntry = {
        major: BigInt(major!),
        minor: BigInt(minor!),
        op,
        value: parseCount(value, `${cgroup}/io.stat`),
      };
      stats[list].push(entry);
    }
  }
  return stats;
}
