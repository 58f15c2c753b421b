/** The directory that the host shares. @module */
import { mount } from "../../linux/mount.ts";
import { parseMountOptions } from "../../linux/mount_options.ts";
import { readMountInfo } from "../../linux/mountinfo.ts";
import type { Storage } from "../../proto/agent_pb.ts";
import { SHARED_TAG } from "../../rpc/agent_api.ts";

/** Mounts the file system of a tag. The shared directory may be mounted already, by a template that was restored. */
export function attachVirtioFs(storage: Storage): Disposable {
  const target = storage.mountPoint.replace(/\/+$/, "");
  if (storage.source === SHARED_TAG && isMountPoint(target)) return new DisposableStack();
  Deno.mkdirSync(target, { recursive: true });
  const { flags, data } = parseMountOptions(storage.options);
  return mount(storage.source, target, { type: storage.fstype, flags, data });
}

function isMountPoint(path: string): boolean {
  return readMountInfo().some(({ mountPoint }) => mountPoint === path);
}
