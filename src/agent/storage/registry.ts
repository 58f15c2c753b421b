/** The storages of a sandbox: one handler per driver, one mount per mount point, as many users as there are. @module */
import { KataError } from "../../base/error.ts";
import type { GuardedPath } from "../../linux/fs/guarded_path.ts";
import type { Storage } from "../../proto/agent_pb.ts";
import { DRIVER_OPTION, STORAGE_DRIVER, type StorageDriver } from "../../agent_api/names.ts";
import { cleanPath, guardPath, refusePart, storagePath } from "../files/guest_path.ts";
import { attachBlock } from "./block.ts";
import { attachEphemeral } from "./ephemeral.ts";
import { driverOf } from "./groups.ts";
import type { AttachedStorage, StorageContext, StorageGroup, StorageHandler } from "./handler.ts";
import { attachLocal } from "./local.ts";
import { optionValue } from "./options.ts";
import { attachOverlay } from "./overlay.ts";
import { attachVirtioFs } from "./virtio_fs.ts";
import { attachWatchable } from "./watchable.ts";

/** Every driver of the API; those that are not built yet say so. */
const HANDLERS: Readonly<Record<StorageDriver, StorageHandler | undefined>> = {
  [STORAGE_DRIVER.virtioFs]: attachVirtioFs,
  [STORAGE_DRIVER.ephemeral]: attachEphemeral,
  [STORAGE_DRIVER.local]: attachLocal,
  [STORAGE_DRIVER.overlay]: attachOverlay,
  [STORAGE_DRIVER.block]: attachBlock,
  [STORAGE_DRIVER.blockCcw]: attachBlock,
  [STORAGE_DRIVER.blockMmio]: attachBlock,
  [STORAGE_DRIVER.scsi]: attachBlock,
  [STORAGE_DRIVER.nvdimm]: undefined,
  [STORAGE_DRIVER.watchableBind]: attachWatchable,
  [STORAGE_DRIVER.imagePull]: undefined,
  [STORAGE_DRIVER.multiLayerErofs]: undefined,
};

/** Drivers that work, sorted; GetGuestDetails lists them. */
export function storageDrivers(): string[] {
  return Object.entries(HANDLERS).filter(([, handler]) => handler !== undefined).map(([driver]) => driver).sort();
}

/** Their content is the containers' own. */
const VOLUME_DRIVERS: readonly string[] = [STORAGE_DRIVER.ephemeral, STORAGE_DRIVER.local];

interface Attached {
  driver: string;
  /** Sources of the storage, as errors name them. */
  sources: string;
  /** Where the volume begins that containers write; undefined if it is none. */
  volume: string | undefined;
  users: number;
  /** Stays when its users are gone, until the sandbox ends. */
  shared: boolean;
  /** Settles when the storage is usable; a second user waits for the first. */
  ready: Promise<AttachedStorage>;
  /** Of the caller for whom it is made usable. */
  signal: AbortSignal;
  /** Settles when it is gone; undefined as long as it has users. */
  leaving?: Promise<void>;
}

type Handlers = Readonly<Record<string, StorageHandler | undefined>>;

/** Storages by mount point. Disposing it detaches those that are left, newest first. */
export class StorageRegistry implements AsyncDisposable {
  readonly #attached = new Map<string, Attached>();
  readonly #handlers: Handlers;

  /** @param handlers By driver; tests pass their own. */
  constructor(handlers: Handlers = HANDLERS) {
    this.#handlers = handlers;
  }

  /**
   * Makes a group of storages usable, or counts one more user of what is at its mount point.
   *
   * @returns Disposing it takes this user away; the last one takes the storage along.
   * @throws {KataError} UNIMPLEMENTED or INVALID_ARGUMENT, naming the driver; ALREADY_EXISTS: something else is there.
   */
  async acquire(group: StorageGroup, context: StorageContext): Promise<AttachedStorage> {
    const [{ source, mountPoint }] = group;
    const key = storagePath(mountPoint);
    // A storage that is being detached ends before a new one is made in its place.
    for (let last; (last = this.#attached.get(key)?.leaving) !== undefined;) await last.catch(() => {});
    const attached = this.#attached.get(key) ?? this.#attach(key, group, context);
    if (attached.sources !== sourcesOf(group)) throw taken(key, { is: attached.sources, wanted: sourcesOf(group) });
    this.#attached.set(key, attached);
    attached.users++;
    try {
      const { path } = await attached.ready;
      return { path, [Symbol.asyncDispose]: () => this.#release(key, attached) };
    } catch (cause) {
      if (this.#attached.get(key) === attached) this.#attached.delete(key);
      // Another caller gave up on it, not this one.
      if (attached.signal.aborted && !context.signal.aborted) return await this.acquire(group, context);
      throw new Error(`Cannot use storage "${source}" at "${key}"`, { cause });
    }
  }

  #attach(key: string, group: StorageGroup, context: StorageContext): Attached {
    const driver = driverOf(group);
    const isKnown = Object.hasOwn(this.#handlers, driver);
    const handler = isKnown ? this.#handlers[driver] : undefined;
    if (handler === undefined) throw noHandler(driver, { isKnown });
    const volume = VOLUME_DRIVERS.includes(driver) ? beginOf(key, group[0]) : undefined;
    const guard = (path: string) => this.guard(path, volume);
    const place = driver === STORAGE_DRIVER.local ? guard(key) : refusePart(guard(key));
    const ready = handler(group, { ...context, place, guard });
    const { signal } = context;
    return { driver, sources: sourcesOf(group), volume, users: 0, shared: group[0].shared, ready, signal };
  }

  /**
   * Tells which part of a path containers may write.
   *
   * @param more Another volume. @throws {KataError} INVALID_ARGUMENT: the path is relative, or climbs.
   */
  guard(path: string, more?: string): GuardedPath {
    const volumes = [...this.#attached.values(), { volume: more }].flatMap(({ volume }) => volume ?? []);
    return guardPath(path, { volumes, others: this.#attached.keys() });
  }

  /**
   * The place of a storage that the sandbox has, for a change of it.
   *
   * @throws {KataError} As {@linkcode guard}; PERMISSION_DENIED or INVALID_ARGUMENT: the driver has none there.
   */
  placeOf({ driver, mountPoint }: Storage): GuardedPath {
    const place = refusePart(this.guard(mountPoint));
    if (this.#attached.get(place.base)?.driver === driver) return place;
    const why = `the sandbox has no storage of driver "${driver}" there`;
    throw new KataError("INVALID_ARGUMENT", `Cannot change the storage at "${place.base}": ${why}`);
  }

  async #release(key: string, attached: Attached): Promise<void> {
    attached.users--;
    if (attached.users > 0 || attached.shared || this.#attached.get(key) !== attached) return;
    await (attached.leaving = this.#detach(key, attached));
  }

  /** Detaches a storage. Until that is done the storage counts as there: containers may write to it to the end. */
  async #detach(key: string, { ready }: Attached): Promise<void> {
    try {
      await using _ = await ready;
    } finally {
      this.#attached.delete(key);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using all = new AsyncDisposableStack();
    for (const [key, attached] of this.#attached) {
      all.defer(async () => {
        if (attached.leaving !== undefined) return await attached.leaving;
        // A storage that never became usable has nothing to give back; its `acquire` has thrown the reason.
        const isUsable = await attached.ready.then(() => true, () => false);
        if (isUsable) await (attached.leaving = this.#detach(key, attached));
      });
    }
  }
}

/** Words that tell one storage from another at the same mount point. */
function sourcesOf(group: StorageGroup): string {
  return group.map(({ driver, source }) => `"${source}" of driver "${driver}"`).join(", ");
}

function taken(mountPoint: string, { is, wanted }: { is: string; wanted: string }): KataError {
  return new KataError("ALREADY_EXISTS", `Cannot use storage ${wanted} at "${mountPoint}": ${is} is there`);
}

/** The volume that a storage is, or is told to be a part of. @throws {KataError} INVALID_ARGUMENT: it is none of it. */
function beginOf(mountPoint: string, { driverOptions }: Storage): string {
  const part = optionValue(driverOptions, DRIVER_OPTION.volumePart);
  if (part === undefined) return mountPoint;
  const end = cleanPath(`/${part}`);
  if (end !== "/" && mountPoint.endsWith(end)) return storagePath(mountPoint.slice(0, -end.length));
  throw new KataError(
    "INVALID_ARGUMENT",
    `Cannot use "${mountPoint}" as part "${part}" of a volume: it ends otherwise`,
  );
}

function noHandler(driver: string, { isKnown }: { isKnown: boolean }): KataError {
  if (isKnown) {
    return new KataError(
      "UNIMPLEMENTED",
      `Cannot use storage driver "${driver}": this agent has no handler for it yet`,
    );
  }
  return new KataError("INVALID_ARGUMENT", `Cannot use storage driver "${driver}": no such driver`);
}
