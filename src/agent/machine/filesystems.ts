/** Room in the file systems of the guest. @module */
import { type MountInfo, readMountInfo } from "../../linux/mount/mountinfo.ts";
import { statfs } from "../../linux/fs/statfs.ts";
import type { FilesystemUsage } from "./metrics.ts";

/** Types whose room is worth telling; the others are the kernel's own. */
const REPORTED: ReadonlySet<string> = new Set(["ext4", "xfs", "btrfs", "vfat", "overlay"]);

/** Room of one file system. @param path Any path on it. */
export function usageOf(path: string): Pick<FilesystemUsage, "bytes" | "inodes"> {
  const stats = statfs(path);
  return {
    bytes: room(stats.blocks, { free: stats.freeBlocks, available: stats.availableBlocks, unit: stats.blockSize }),
    inodes: room(stats.files, { free: stats.freeFiles, available: stats.freeFiles, unit: 1 }),
  };
}

/** Room of every mounted file system of a type that stores data and that can change, once, where it is mounted first. */
export function filesystemUsages(mounts: readonly MountInfo[] = readMountInfo()): FilesystemUsage[] {
  const kept = mounts.filter(({ type, superOptions }) => REPORTED.has(type) && !superOptions.includes("ro"));
  const byDevice = Map.groupBy(kept, ({ major, minor }) => `${major}:${minor}`);
  return [...byDevice].flatMap(([number, [first]]) => {
    const { mountPoint, source } = first!;
    try {
      return [{ mount: mountPoint, device: source.split("/").at(-1) || number, ...usageOf(mountPoint) }];
    } catch {
      return []; // unmounted meanwhile, or hidden below another mount
    }
  });
}

interface Counts {
  free: number;
  available: number;
  /** Bytes per block, or 1. */
  unit: number;
}

function room(total: number, { free, available, unit }: Counts): FilesystemUsage["bytes"] {
  const scaled = (blocks: number) => BigInt(blocks) * BigInt(unit);
  return { total: scaled(total), used: scaled(total - free), available: scaled(available) };
}
