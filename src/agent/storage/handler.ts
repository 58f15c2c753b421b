/** What a storage driver is. @module */
import type { Logger } from "../../base/log.ts";
import type { GuardedPath } from "../../linux/fs/guarded_path.ts";
import type { Storage } from "../../proto/agent_pb.ts";

/** What drivers may use. */
export interface StorageContext {
  log: Logger;
  /** Directory of the containers' bundles, `/run/kata-containers`. */
  containersDir: string;
  /** The container that the storage is for; undefined if it is the sandbox's. */
  containerId?: string;
}

/** What drivers are told of places in the guest. */
export interface Places {
  /** The mount point. */
  place: GuardedPath;
  /** Tells of another path which part of it containers may write. */
  guard(path: string): GuardedPath;
}

/**
 * Makes a storage usable at its mount point.
 *
 * @returns What undoes it.
 */
export type StorageHandler = (storage: Storage, context: StorageContext & Places) => Promise<Disposable> | Disposable;
