/** A directory of the guest, shared by the containers of a pod. @module */
import { isErrno } from "../../linux/ffi/errno.ts";
import { type Fd, pathOf } from "../../linux/io/fd.ts";
import { makeGuarded, openGuarded, splitLast } from "../../linux/fs/guarded_path.ts";
import { removeTree } from "../../linux/fs/remove_tree.ts";
import type { Storage } from "../../proto/agent_pb.ts";
import { STORAGE_OPTION } from "../../agent_api/names.ts";
import {
  attachedAt,
  type AttachedStorage,
  onlyOne,
  type Places,
  type StorageContext,
  type StorageGroup,
} from "./handler.ts";
import { optionValue, parseId, parseMode } from "./options.ts";

const S_ISGID = 0o2000;

/**
 * Makes the directory; it goes with its last user, unless it was there before. Of a volume's part all that is missing is
 * made alike, and what is there is the containers' and stays as it is, as the kubelet does it; it goes with the volume.
 */
export async function attachLocal(
  group: StorageGroup,
  { place, log }: Pick<StorageContext, "log"> & Places,
): Promise<AttachedStorage> {
  const ownership = ownershipOf(onlyOne(group));
  const settle = (made: Fd) => give(made, ownership);
  if (place.part !== undefined) {
    openPart(place, settle);
    return attachedAt(place);
  }
  const { directory, isMade } = makeGuarded(place, settle);
  using opened = directory;
  // A directory that was there before belongs to somebody else: neither change its owner nor remove it at the end.
  if (!isMade) {
    if (!isGiven(opened, ownership)) log.warning(`Left owner and mode of ${place.base}: it was there before`);
    return attachedAt(place);
  }
  const [above, name] = splitLast(place);
  return attachedAt(place, {
    [Symbol.dispose]() {
      using parent = openGuarded(above);
      removeTree(parent, name);
    },
  });
}

/** A part may be a file, if a container has made one. */
function openPart(place: Places["place"], settle: (made: Fd) => void): void {
  try {
    openGuarded(place)[Symbol.dispose]();
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    makeGuarded(place, settle).directory[Symbol.dispose]();
  }
}

/** Owner and mode that a request asks for a directory. */
interface Ownership {
  /** Permission bits. */
  mode: number;
  gid?: number;
}

function ownershipOf({ options }: Storage): Ownership {
  const mode = optionValue(options, STORAGE_OPTION.mode);
  const group = optionValue(options, STORAGE_OPTION.fsGroup);
  const bits = mode === undefined ? 0o755 : parseMode(mode);
  return group === undefined ? { mode: bits } : { mode: bits | S_ISGID, gid: parseId(group) };
}

function give(directory: Fd, { mode, gid }: Ownership): void {
  if (gid !== undefined) Deno.chownSync(pathOf(directory), null, gid);
  Deno.chmodSync(pathOf(directory), mode);
}

function isGiven(directory: Fd, { mode, gid }: Ownership): boolean {
  const found = Deno.statSync(pathOf(directory));
  return (found.mode! & 0o7777) === mode && (gid === undefined || found.gid === gid);
}
