/**
 * Waiting for hardware that the host has plugged in: a look first, and if the device is not there yet, another one with
 * each event of its kind, for a bounded time.
 *
 * One socket hears the kernel's events for all waits. It is open only while one lasts: a machine whose devices are there
 * when they are asked for never opens it, and no events pile up in it unread.
 *
 * @module
 */
import { MAX_TIMER_MS } from "../../base/clock.ts";
import type { DiskAddress } from "../../agent_api/disk_address.ts";
import { KataError } from "../../base/error.ts";
import { UeventSocket } from "../../linux/device/uevent.ts";
import { loadModule } from "../machine/modules.ts";
import { type DeviceAddress, kindOf } from "./address.ts";
import { askForDisk, diskAt, letGoOfDisk, modulesFor } from "./disk.ts";
import { netAtPciPath } from "./net.ts";
import { type Listener, PendingLook } from "./pending_look.ts";
import { Users } from "./users.ts";

/** How long a device is waited for. */
export interface DeviceWait {
  /** Ends the wait with its reason. */
  signal: AbortSignal;
  /** Default: the waiter's. */
  timeoutMs?: number;
}

/** Source of device events; see {@linkcode UeventSocket}. */
export type UeventSource = Pick<UeventSocket, "events" | typeof Symbol.dispose>;

export interface DeviceWaiterOptions {
  /** `/sys`, or a directory like it. */
  sys?: string;
  /** `/dev`, or a directory like it. */
  dev?: string;
  /** Starts to listen: from its return on, no event is missed. */
  listen?: () => UeventSource;
  /** Loads a module of the kernel. */
  loadModule?: (name: string) => Promise<void>;
  /** How long a device is waited for, unless the caller knows better. Default: as the option `agent.hotplug_timeout`. */
  timeoutMs?: number;
}

/** A look is repeated at this pace too: the kernel drops events in a flood, and says nothing when a device is busy no more. */
const LOOK_AGAIN_MS = 250;

interface Listening {
  end: AbortController;
  done: Promise<void>;
}

/** The one way to wait for a device in this guest. */
export class DeviceWaiter {
  readonly #sys: string;
  readonly #dev: string;
  readonly #loadModule: (name: string) => Promise<void>;
  readonly #listen: () => UeventSource;
  readonly #timeoutMs: number;
  readonly #listeners = new Set<Listener>();
  /** Of each disk, by its address: containers may have one together. */
  readonly #diskUsers = new Users();
  #listening: Listening | undefined;

  constructor(options: DeviceWaiterOptions = {}) {
    const { sys = "/sys", dev = "/dev", listen = () => new UeventSocket(), timeoutMs = 3_000 } = options;
    this.#loadModule = options.loadModule ?? loadModule;
    this.#sys = sys;
    this.#dev = dev;
    this.#listen = listen;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Waits for the interface of a network card.
   *
   * @param pciPath As `pci.ts` reads it.
   * @returns Its name. @throws {KataError} As {@linkcode until}; INVALID_ARGUMENT: there cannot be such a path.
   */
  async netAt(pciPath: string, wait: DeviceWait): Promise<string> {
    return await this.until({ kind: "net", pciPath }, () => netAtPciPath(pciPath, this.#sys), wait);
  }

  /**
   * Waits for a disk.
   *
   * @returns Its node; disposing it waits until the kernel has let go of the disk, as {@linkcode letGoOfDisk}, if nobody
   * else has it.
   * @throws {KataError} As {@linkcode until}.
   */
  async disk(at: DiskAddress, wait: DeviceWait): Promise<{ readonly node: string } & AsyncDisposable> {
    const roots = { sys: this.#sys, dev: this.#dev };
    for (const module of modulesFor(at, roots)) await this.#loadModule(module);
    let isAsked = false;
    const look = () => {
      const found = diskAt(at, roots);
      if (found !== undefined || isAsked) return found;
      isAsked = true;
      askForDisk(at, roots);
      return diskAt(at, roots);
    };
    const key = JSON.stringify(at);
    this.#diskUsers.add(key);
    try {
      const node = await this.until({ kind: "disk", at }, look, wait);
      const letGo = async () => {
        if (this.#diskUsers.remove(key)) await letGoOfDisk(node, at, roots);
      };
      return { node, [Symbol.asyncDispose]: letGo };
    } catch (error) {
      this.#diskUsers.remove(key);
      throw error;
    }
  }

  /**
   * Waits until a look finds the device.
   *
   * @param look Finds the device, and may take it into use at once; undefined as long as it is not there. After a result
   * or an error it is not called again.
   * @throws {KataError} NOT_FOUND, saying what was waited for, what is there instead and what was heard meanwhile.
   * @throws What `look` throws, and the signal's reason.
   */
  async until<T>(address: DeviceAddress, look: () => T | undefined, wait: DeviceWait): Promise<T> {
    wait.signal.throwIfAborted();
    return look() ?? await this.#wait(address, new PendingLook(address, look), wait);
  }

  async #wait<T>(
    address: DeviceAddress,
    pending: PendingLook<T>,
    { signal, timeoutMs = this.#timeoutMs }: DeviceWait,
  ): Promise<T> {
    const onAbort = () => pending.fail(signal.reason);
    const onLate = () => {
      pending.look();
      if (!pending.isOver) pending.fail(this.#notFound(address, { timeoutMs, heard: pending.heard() }));
    };
    await using _ = this.#join(pending);
    signal.addEventListener("abort", onAbort, { once: true });
    const timers = [
      setInterval(() => pending.look(), LOOK_AGAIN_MS),
      setTimeout(onLate, Math.min(timeoutMs, MAX_TIMER_MS)),
    ];
    try {
      pending.look(); // it may have come before the socket
      return await pending.outcome;
    } finally {
      timers.forEach(clearTimeout);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** @returns What leaves again; the last one to leave closes the socket. */
  #join(listener: Listener): AsyncDisposable {
    const listening = this.#listening ??= this.#open();
    this.#listeners.add(listener);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size > 0) return;
        this.#forget(listening);
        listening.end.abort();
        await listening.done;
      },
    };
  }

  #open(): Listening {
    const source = this.#listen();
    const listening: Listening = { end: new AbortController(), done: Promise.resolve() };
    listening.done = this.#hear(source, listening);
    return listening;
  }

  /** Passes events on until nobody waits. Never rejects: those who wait get the error. */
  async #hear(source: UeventSource, listening: Listening): Promise<void> {
    using _ = source;
    const { signal } = listening.end;
    try {
      for await (const event of source.events({ signal })) {
        for (const listener of this.#listeners) {
          listener.hear(event);
          if (listener.isOver) this.#listeners.delete(listener);
        }
        if (this.#listeners.size > 0) continue;
        this.#forget(listening); // before anything else runs: the next caller needs a socket that hears
        return;
      }
    } catch (error) {
      this.#forget(listening);
      if (!signal.aborted) this.#listeners.forEach((listener) => listener.fail(error));
    }
  }

  #forget(listening: Listening): void {
    if (this.#listening === listening) this.#listening = undefined;
  }

  #notFound(address: DeviceAddress, { timeoutMs, heard }: { timeoutMs: number; heard: string }): KataError {
    const { text, present } = kindOf(address);
    const seen = `there: ${present(this.#sys)}; heard: ${heard}`;
    return new KataError("NOT_FOUND", `Cannot find ${text(address)} within ${timeoutMs} ms (${seen})`);
  }
}
