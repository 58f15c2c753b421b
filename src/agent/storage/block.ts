/** A file system on a disk that the host has plugged in. @module */
import { type DiskDriver, fromDiskSource } from "../../agent_api/disk_address.ts";
import { KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { MS, parseMountOptions } from "../../linux/mount/mount_options.ts";
import { guardedText } from "../../linux/fs/guarded_path.ts";
import { loadFilesystem } from "../machine/modules.ts";
import type { Storage } from "../../proto/agent_pb.ts";
import { type AttachedStorage, onlyOne, type Places, type StorageContext, type StorageGroup } from "./handler.ts";
import { mountAt } from "./mount_point.ts";

/** Waits for the disk and mounts it. Once it is released, the host may take the disk away. */
export async function attachBlock(
  group: StorageGroup,
  { place, devices, signal }: StorageContext & Places,
): Promise<AttachedStorage> {
  const storage = onlyOne(group);
  refuseUnknown(storage);
  const at = fromDiskSource({ driver: storage.driver as DiskDriver, source: storage.source });
  const disk = await devices.disk(at, { signal });
  await using undo = new AsyncDisposableStack();
  undo.use(disk);
  await loadFilesystem(storage.fstype);
  undo.use(mountDisk(storage, { node: disk.node, place }));
  const attached = undo.move();
  return { path: guardedText(place), [Symbol.asyncDispose]: () => attached.disposeAsync() };
}

function refuseUnknown({ driverOptions, fsGroup, source }: Storage): void {
  const [unknown] = [...driverOptions, ...(fsGroup === undefined ? [] : ["fs_group"])];
  if (unknown === undefined) return;
  throw new KataError("UNIMPLEMENTED", `Cannot use disk "${source}": this agent cannot do "${unknown}" with it yet`);
}

function mountDisk(
  { fstype, options }: Storage,
  { node, place }: { node: string } & Pick<Places, "place">,
): Disposable {
  const { flags, data } = parseMountOptions(options);
  try {
    return mountAt(place, node, { type: fstype, flags, data });
  } catch (error) {
    // A journal that was left with work in it cannot be replayed on a disk that is read-only.
    const isUnplayed = /^ext[34]$/.test(fstype) && (flags & MS.RDONLY) !== 0 && isErrno(error, "EROFS", "EACCES");
    if (!isUnplayed) throw new Error(`Cannot mount disk "${node}" as ${fstype}`, { cause: error });
    return mountAt(place, node, { type: fstype, flags, data: data === "" ? "noload" : `${data},noload` });
  }
}
