/** Layers that are in the guest already, as one tree. @module */
import { makeGuarded, openGuarded } from "../../linux/fs/guarded_path.ts";
import { O_DIRECTORY, O_PATH, pathOf } from "../../linux/io/fd.ts";
import { parseMountOptions } from "../../linux/mount/mount_options.ts";
import { DRIVER_OPTION, STORAGE_OPTION } from "../../agent_api/names.ts";
import { bundleOf, refusePart, storagePath } from "../files/guest_path.ts";
import {
  attachedAt,
  type AttachedStorage,
  onlyOne,
  type Places,
  type StorageContext,
  type StorageGroup,
} from "./handler.ts";
import { mountAt } from "./mount_point.ts";

/** Mounts an overlay (B17); on request with a writable layer of its own in the container's directory. */
export async function attachOverlay(group: StorageGroup, context: StorageContext & Places): Promise<AttachedStorage> {
  const storage = onlyOne(group);
  const { containersDir, containerId, place, guard } = context;
  const makeDirectory = (path: string) => makeGuarded(refusePart(guard(path))).directory[Symbol.dispose]();
  for (const option of storage.driverOptions) {
    const prefix = DRIVER_OPTION.overlayCreateDirectory;
    if (option.startsWith(prefix)) makeDirectory(storagePath(option.slice(prefix.length)));
  }
  const options = storage.options.filter((option) => option !== STORAGE_OPTION.overlayReadWrite);
  if (options.length < storage.options.length && containerId !== undefined) {
    const bundle = bundleOf(containersDir, containerId);
    const [upperdir, workdir] = [`${bundle}/upper`, `${bundle}/work`];
    for (const path of [upperdir, workdir]) makeDirectory(path);
    options.push(`upperdir=${upperdir}`, `workdir=${workdir}`);
  }
  using layers = new DisposableStack();
  const { flags, data } = parseMountOptions(options.map((option) => openLayers(option, { layers, guard })));
  return attachedAt(place, mountAt(place, "overlay", { type: "overlay", flags, data }));
}

const LAYERS = /^(lowerdir|upperdir|workdir)=(.*)$/s;

/** The kernel follows each link in the paths of layers, so it gets what they lead to. */
function openLayers(
  option: string,
  { layers, guard }: Pick<Places, "guard"> & { layers: DisposableStack },
): string {
  const [, key, value = ""] = LAYERS.exec(option) ?? [];
  if (key === undefined) return option;
  const open = (path: string) => {
    const layer = layers.use(openGuarded(refusePart(guard(unescape(path))), O_PATH | O_DIRECTORY));
    return pathOf(layer);
  };
  // A colon that is part of a path has a backslash before it; two of them stand before layers that hold data only.
  return `${key}=${value.replaceAll(/(?:\\[^]|[^:\\])+/g, open)}`;
}

function unescape(path: string): string {
  return path.replaceAll(/\\([^])/g, "$1");
}
