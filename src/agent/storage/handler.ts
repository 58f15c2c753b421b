/** The interface of storage drivers. @module */
import { KataError } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import { type GuardedPath, guardedText } from "../../linux/fs/guarded_path.ts";
import type { Storage } from "../../proto/agent_pb.ts";
import type { DeviceWaiter } from "../devices/waiter.ts";

/** Context in which a driver attaches a storage. */
export interface StorageContext {
  log: Logger;
  /** Directory of the containers' bundles, `/run/kata-containers`. */
  containersDir: string;
  /** The container that the storage is for; undefined if it is the sandbox's. */
  containerId?: string;
  /** Finds the device of a storage, which may be still to come. */
  devices: DeviceWaiter;
  /** The caller has given up. */
  signal: AbortSignal;
}

/** Places in the guest, as drivers get them. */
export interface Places {
  /** The mount point. */
  place: GuardedPath;
  /** Tells of another path which part of it containers may write. */
  guard(path: string): GuardedPath;
}

/** Storages that make one mount together, such as the layers of an image; most make one each. The first has the mount point. */
export type StorageGroup = readonly [Storage, ...Storage[]];

/** A storage that is usable. Disposing it undoes what made it so, and may talk to others for that. */
export interface AttachedStorage extends AsyncDisposable {
  /** Where it is in the guest. */
  readonly path: string;
}

/** Makes a group of storages usable at its mount point. */
export type StorageHandler = (group: StorageGroup, context: StorageContext & Places) => Promise<AttachedStorage>;

/** A storage at its place. @param undo What undoes it; none if it was there before, or goes with another one. */
export function attachedAt(place: GuardedPath, undo?: Disposable): AttachedStorage {
  return { path: guardedText(place), [Symbol.asyncDispose]: async () => undo?.[Symbol.dispose]() };
}

/** The storage of a driver that makes a mount of one. @throws {KataError} INVALID_ARGUMENT: there are several. */
export function onlyOne([storage, ...others]: StorageGroup): Storage {
  if (others.length === 0) return storage;
  const what = `${others.length + 1} storages as one at "${storage.mountPoint}"`;
  throw new KataError("INVALID_ARGUMENT", `Cannot use ${what}: driver "${storage.driver}" takes one`);
}
