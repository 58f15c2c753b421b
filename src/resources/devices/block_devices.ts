/**
 * Disks of one sandbox's machine, by what they are on the host: whoever asks for a file or device that is in the machine
 * gets the same disk, and the last one to let go of it takes it out.
 *
 * @module
 */
import type { GuestAddress } from "../../agent_api/guest_address.ts";
import { KataError } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import { quoted } from "../../base/text.ts";
import { facetOf } from "../../hypervisor/facets.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import { fileIdentity } from "../../linux/fs/identity.ts";
import { Fd, O_PATH, pathOf } from "../../linux/io/fd.ts";

export interface BlockDevicesOptions {
  vm: Pick<Hypervisor, "name" | "hotplug">;
  /** Fires when the machine ends, with all its disks: from then on none is taken out any more. */
  signal: AbortSignal;
  log: Logger;
  /** For the guest to let go of a disk, in milliseconds. */
  unplugMs?: number;
}

/** A disk that somebody asks for. */
export interface DiskRequest {
  /** Regular file or block device of the host. */
  path: string;
  readOnly: boolean;
  /** The one who asks, for errors: `root file system of container "c1"`. */
  user: string;
}

/** A disk that is in the machine. Disposing it, once the guest has let go of it, counts one user less. */
export interface AttachedDisk extends AsyncDisposable {
  readonly address: GuestAddress;
}

interface Use {
  user: string;
}

/** One disk in the machine. */
interface Entry {
  id: string;
  path: string;
  readOnly: boolean;
  users: Set<Use>;
  ready: Promise<GuestAddress>;
  /** Settles when the disk is out of the machine, or would not leave it; undefined as long as it has users. */
  leaving?: Promise<void>;
}

/** As long as other runtimes wait. */
const UNPLUG_MS = 10_000;

/** Made before the machine runs; used only while it does. */
export class BlockDevices {
  readonly #options: Required<BlockDevicesOptions>;
  readonly #entries = new Map<string, Entry>();
  #count = 0;

  constructor(options: BlockDevicesOptions) {
    this.#options = { unplugMs: UNPLUG_MS, ...options };
  }

  /**
   * Puts a disk into the machine, or counts one more user of one that is there.
   *
   * @throws {Error} Naming the disk; the codes of its causes are UNIMPLEMENTED: the monitor takes no disks now;
   * FAILED_PRECONDITION: it is there for reading only; INVALID_ARGUMENT: it is no disk.
   */
  async acquire(request: DiskRequest): Promise<AttachedDisk> {
    const { path, user } = request;
    try {
      using open = Fd.open(path, O_PATH);
      const key = identityOf(open);
      await this.#settled(key);
      const entry = this.#entries.get(key) ?? this.#plug(key, { ...request, open });
      if (entry.readOnly && !request.readOnly) throw readOnlyFor(entry.users);
      const use = { user };
      entry.users.add(use);
      try {
        return { address: await entry.ready, [Symbol.asyncDispose]: () => this.#release(key, { entry, use }) };
      } catch (error) {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
        throw error;
      }
    } catch (cause) {
      throw new Error(`Cannot use disk ${quoted(path)} for ${user}`, { cause });
    }
  }

  /** Waits for a disk that is leaving. One that would not leave is asked again: the next use is none of the last one's. */
  async #settled(key: string): Promise<void> {
    for (let entry; (entry = this.#entries.get(key)) !== undefined && entry.users.size === 0;) {
      await (entry.leaving ?? this.#unplug(key, entry));
    }
  }

  #plug(key: string, { path, readOnly, open }: DiskRequest & { open: Fd }): Entry {
    const id = `disk${this.#count++}`;
    const { vm, signal } = this.#options;
    const hotplug = facetOf(vm, "hotplug", `plug block "${id}"`);
    // By what is open: the path may lead elsewhere by now.
    const ready = hotplug.plug({ kind: "block", id, path: pathOf(open), readOnly }, { signal });
    const entry: Entry = { id, path, readOnly, users: new Set(), ready };
    this.#entries.set(key, entry);
    return entry;
  }

  async #release(key: string, { entry, use }: { entry: Entry; use: Use }): Promise<void> {
    if (!entry.users.delete(use)) return;
    if (entry.users.size === 0) await this.#unplug(key, entry);
  }

  async #unplug(key: string, entry: Entry): Promise<void> {
    entry.leaving = this.#takeOut(key, entry);
    try {
      await entry.leaving;
    } finally {
      delete entry.leaving;
    }
  }

  async #takeOut(key: string, { id, path }: Entry): Promise<void> {
    const { vm, signal, unplugMs, log } = this.#options;
    if (signal.aborted) return;
    try {
      await vm.hotplug?.unplug(id, { signal: AbortSignal.any([signal, AbortSignal.timeout(unplugMs)]) });
      this.#entries.delete(key);
    } catch (cause) {
      if (signal.aborted) log.debug("A disk goes with its machine", { disk: path });
      else throw new Error(`Cannot take disk ${quoted(path)} out of the machine`, { cause });
    }
  }
}

/** A file by its place on its file system, a device by its number, under whatever paths they are known. */
function identityOf(open: Fd): string {
  const { isFile, isBlockDevice, rdev } = Deno.statSync(pathOf(open));
  if (isBlockDevice) return `device ${rdev}`;
  if (isFile) return `file ${fileIdentity(open)}`;
  throw new KataError("INVALID_ARGUMENT", "it is neither a file nor a block device");
}

function readOnlyFor(users: Iterable<Use>): KataError {
  const names = [...users].map(({ user }) => user).join(", ");
  return new KataError("FAILED_PRECONDITION", `it is in the machine for reading only, for ${names}`);
}
