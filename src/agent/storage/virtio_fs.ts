/** The directory that the host shares. @module */
import { KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { parseMountOptions } from "../../linux/mount/mount_options.ts";
import { readMountInfo } from "../../linux/mount/mountinfo.ts";
import { SHARED_TAG } from "../../agent_api/names.ts";
import {
  attachedAt,
  type AttachedStorage,
  onlyOne,
  type Places,
  type StorageContext,
  type StorageGroup,
} from "./handler.ts";
import { mountAt } from "./mount_point.ts";

/** A device that was plugged in before this guest went on appears within half a second, or never. */
const APPEAR_MS = 5_000;

/**
 * Mounts the file system of a tag, and waits for its device if that is still to come. The shared directory may be mounted
 * already.
 */
export async function attachVirtioFs(
  group: StorageGroup,
  { place, devices, signal }: StorageContext & Places,
): Promise<AttachedStorage> {
  const { source, fstype, options } = onlyOne(group);
  if (source === SHARED_TAG && isMountPoint(place.base)) return attachedAt(place);
  const { flags, data } = parseMountOptions(options);
  let refusal: unknown;
  // Nothing but a mount tells whether there is a device of this tag.
  const look = () => {
    try {
      return mountAt(place, source, { type: fstype, flags, data });
    } catch (error) {
      if (!isErrno(error, "EINVAL")) throw error;
      refusal = error;
      return undefined;
    }
  };
  try {
    const mounted = await devices.until({ kind: "virtio-fs", tag: source }, look, { signal, timeoutMs: APPEAR_MS });
    return attachedAt(place, mounted);
  } catch (error) {
    // The kernel says the same of options that it does not know.
    throw error instanceof KataError ? new KataError(error.code, error.message, { cause: refusal }) : error;
  }
}

function isMountPoint(path: string): boolean {
  return readMountInfo().some(({ mountPoint }) => mountPoint === path);
}
