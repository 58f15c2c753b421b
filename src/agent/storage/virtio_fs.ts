/** The directory that the host shares. @module */
import { isErrno } from "../../linux/ffi/errno.ts";
import { parseMountOptions } from "../../linux/mount/mount_options.ts";
import { readMountInfo } from "../../linux/mount/mountinfo.ts";
import { UeventSocket } from "../../linux/device/uevent.ts";
import type { Storage } from "../../proto/agent_pb.ts";
import { SHARED_TAG } from "../../agent_api/names.ts";
import type { Places } from "./handler.ts";
import { mountAt } from "./mount_point.ts";

/** A device that was plugged in before this guest went on appears within half a second, or never. */
const APPEAR_MS = 5_000;

/**
 * Mounts the file system of a tag, and waits for its device if that is still to come. The shared directory may be mounted
 * already.
 */
export async function attachVirtioFs(storage: Storage, { place }: Places): Promise<Disposable> {
  if (storage.source === SHARED_TAG && isMountPoint(place.base)) return new DisposableStack();
  const { flags, data } = parseMountOptions(storage.options);
  const attach = () => mountAt(place, storage.source, { type: storage.fstype, flags, data });
  return tryOnce(attach) ?? await attachLater(attach);
}

/** Tries again with each thing that happens to a device. @throws The last failure, if there is no device in time. */
async function attachLater(attach: () => Disposable): Promise<Disposable> {
  using socket = new UeventSocket();
  const signal = AbortSignal.timeout(APPEAR_MS);
  try {
    // It may have come before the socket.
    let mounted = tryOnce(attach);
    for (const events = socket.events({ signal }); mounted === undefined; mounted = tryOnce(attach)) {
      await events.next();
    }
    return mounted;
  } catch (error) {
    if (!signal.aborted) throw error;
    return attach();
  }
}

/** @returns undefined as long as no device has this tag. */
function tryOnce(attach: () => Disposable): Disposable | undefined {
  try {
    return attach();
  } catch (error) {
    if (isErrno(error, "EINVAL")) return undefined;
    throw error;
  }
}

function isMountPoint(path: string): boolean {
  return readMountInfo().some(({ mountPoint }) => mountPoint === path);
}
