/** Block devices of a cgroup on v1. @see https://docs.kernel.org/admin-guide/cgroup-v1/blkio-controller.html @module */
import { readCgroupFile, writeCgroupFile } from "../../../linux/cgroup/file.ts";
import type { BlockIoResources } from "../../spec/spec.ts";
import { type IoEntry, type IoStats, noIo } from "../stats.ts";

const THROTTLES = [
  ["throttleReadBpsDevice", "blkio.throttle.read_bps_device"],
  ["throttleWriteBpsDevice", "blkio.throttle.write_bps_device"],
  ["throttleReadIOPSDevice", "blkio.throttle.read_iops_device"],
  ["throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"],
] as const satisfies readonly (readonly [keyof BlockIoResources, string])[];

export function applyBlkio(cgroup: string, io: BlockIoResources): void {
  applyWeights(cgroup, io);
  for (const [field, file] of THROTTLES) {
    for (const { major, minor, rate } of io[field] ?? []) {
      writeCgroupFile(cgroup, file, `${major}:${minor} ${rate}`);
    }
  }
}

/** CFQ named its files without a scheduler; BFQ, which came after it, has its own name in them and no leaf weights. */
function applyWeights(cgroup: string, { weight, leafWeight, weightDevice = [] }: BlockIoResources): void {
  const prefix = readCgroupFile(cgroup, "blkio.bfq.weight") === undefined ? "blkio" : "blkio.bfq";
  if (weight) writeCgroupFile(cgroup, `${prefix}.weight`, weight);
  if (leafWeight) writeCgroupFile(cgroup, "blkio.leaf_weight", leafWeight);
  for (const device of weightDevice) {
    const id = `${device.major}:${device.minor}`;
    if (device.weight) writeCgroupFile(cgroup, `${prefix}.weight_device`, `${id} ${device.weight}`);
    if (device.leafWeight) writeCgroupFile(cgroup, "blkio.leaf_weight_device", `${id} ${device.leafWeight}`);
  }
}

const STATS = [
  ["serviceBytes", "io_service_bytes"],
  ["serviced", "io_serviced"],
  ["queued", "io_queued"],
  ["serviceTime", "io_service_time"],
  ["waitTime", "io_wait_time"],
  ["merged", "io_merged"],
  ["time", "time"],
  ["sectors", "sectors"],
] as const satisfies readonly (readonly [keyof IoStats, string])[];

export function blkioStats(cgroup: string): IoStats {
  const stats = noIo();
  for (const [list, file] of STATS) {
    // The throttling layer sees what no scheduler counts, such as NVMe without one.
    const candidates = [`blkio.bfq.${file}_recursive`, `blkio.${file}_recursive`, `blkio.throttle.${file}_recursive`];
    for (const candidate of candidates) {
      stats[list] = parseEntries(readCgroupFile(cgroup, candidate) ?? "");
      if (stats[list].length > 0) break;
    }
  }
  return stats;
}

/** Lines of `8:0 Read 4096`, or `8:0 12` in files that know no direction; the grand total at the end has no device. */
export function parseEntries(text: string): IoEntry[] {
  return text.split("\n").flatMap((line) => {
    const match = /^(\d+):(\d+) (?:(\w+) )?(\d+)$/.exec(line);
    if (match === null) return [];
    const [, major, minor, op = "", value] = match;
    return [{ major: BigInt(major!), minor: BigInt(minor!), op, value: BigInt(value!) }];
  });
}
