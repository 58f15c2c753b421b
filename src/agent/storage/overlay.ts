/** Layers that are in the guest already, as one tree. @module */
import { mount } from "../../linux/mount.ts";
import { parseMountOptions } from "../../linux/mount_options.ts";
import type { Storage } from "../../proto/agent_pb.ts";
import { DRIVER_OPTION, STORAGE_OPTION } from "../../rpc/agent_api.ts";
import type { StorageContext } from "./handler.ts";

/** Mounts an overlay (B17); on request with a writable layer of its own in the container's directory. */
export function attachOverlay(storage: Storage, { containersDir, containerId }: StorageContext): Disposable {
  for (const option of storage.driverOptions) {
    const prefix = DRIVER_OPTION.overlayCreateDirectory;
    if (option.startsWith(prefix)) Deno.mkdirSync(option.slice(prefix.length), { recursive: true });
  }
  const options = storage.options.filter((option) => option !== STORAGE_OPTION.overlayReadWrite);
  if (options.length < storage.options.length && containerId !== undefined) {
    const upperdir = `${containersDir}/${containerId}/upper`;
    const workdir = `${containersDir}/${containerId}/work`;
    for (const path of [upperdir, workdir]) Deno.mkdirSync(path, { recursive: true });
    options.push(`upperdir=${upperdir}`, `workdir=${workdir}`);
  }
  Deno.mkdirSync(storage.mountPoint, { recursive: true });
  const { flags, data } = parseMountOptions(options);
  return mount("overlay", storage.mountPoint, { type: "overlay", flags, data });
}
