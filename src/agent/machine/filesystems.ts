/** Room in the file systems of the guest. @module */
import { readMountInfo } from "../../linux/mount/mountinfo.ts";
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

/** Room of every mounted file system of a type that stores data. */
export function filesystemUsages(): FilesystemUsage[] {
  return readMountInfo().filter(({ type }) => REPORTED.has(type)).flatMap(({ mountPoint, source }) => {
    try {
      return [{ mount: mountPoint, device: source, ...usageOf(mountPoint) }];
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
