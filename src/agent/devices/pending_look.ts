/** A look at hardware that is repeated until it finds something. @module */
import type { Uevent } from "../../linux/device/uevent.ts";
import { type DeviceAddress, isNewsOf } from "./address.ts";

/** Receiver of device events. */
export interface Listener {
  hear(event: Uevent): void;
  /** Tells that nothing can be heard any more. */
  fail(error: unknown): void;
  /** Whether the receiver needs no more events. */
  readonly isOver: boolean;
}

/** A wait for a device: has one outcome, and takes no events after it. */
export class PendingLook<T> implements Listener {
  readonly #outcome = Promise.withResolvers<T>();
  readonly #address: DeviceAddress;
  readonly #look: () => T | undefined;
  #isOver = false;
  #events = 0;
  #last: Uevent | undefined;

  /** @param look Is not called again after a result or an error. */
  constructor(address: DeviceAddress, look: () => T | undefined) {
    this.#address = address;
    this.#look = look;
  }

  get outcome(): Promise<T> {
    return this.#outcome.promise;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  hear(event: Uevent): void {
    if (this.#isOver || !isNewsOf(this.#address, event)) return;
    this.#events++;
    this.#last = event;
    this.look();
  }

  look(): void {
    if (this.#isOver) return;
    try {
      const found = this.#look();
      if (found === undefined) return;
      this.#isOver = true;
      this.#outcome.resolve(found);
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    this.#isOver = true;
    this.#outcome.reject(error);
  }

  /** Sums up the events that came during the wait, for an error. */
  heard(): string {
    if (this.#last === undefined) return "nothing of its kind";
    return `${this.#events} of its kind, the last "${this.#last.action}@${this.#last.devPath}"`;
  }
}
