/** Files behind the disks of a VM. @module */
import { Fd, O_RDONLY, O_RDWR } from "../../linux/io/fd.ts";
import type { BlockDevice } from "../device.ts";

/** Whether a disk's path is a block device of the host. */
export function isBlockDevice(path: string): boolean {
  return Deno.statSync(path).isBlockDevice === true;
}

/** Opens a disk's file for its monitor, which may not have the right. */
export function openDisk({ path, readOnly }: BlockDevice): Fd {
  return Fd.open(path, readOnly ? O_RDONLY : O_RDWR);
}
