/**
 * Where devices sit on the PCIe bus. Devices of the start sit on the root bus; those that come later need a root port
 * each, made at the start. Pure: this only keeps the books.
 *
 * @module
 */

/** Cards that an engine may put into a pod's network after the start; each needs a root port. */
export const LATE_CARD_PORTS = 7;

/** Functions of one slot: so many root ports share it. */
const FUNCTIONS = 8;

/** The root bus has 32 slots; q35 itself takes the first (host bridge) and the last (LPC). */
const FIRST_SLOT = 1;
const LAST_SLOT = 30;

/** The bus of one VM. */
export class PcieTopology {
  #nextSlot = FIRST_SLOT;
  readonly #slots = new Map<string, string>();
  readonly #ports: RootPort[] = [];

  /** Root ports made so far, in order. */
  get ports(): readonly RootPort[] {
    return this.#ports;
  }

  /** Gives a device of the start its slot on the root bus, two hex digits. */
  assign(device: string): string {
    if (this.#nextSlot > LAST_SLOT) {
      throw new RangeError(`Cannot place "${device}": all slots of the root bus are taken`);
    }
    const slot = hex(this.#nextSlot++);
    this.#slots.set(device, slot);
    return slot;
  }

  /** Makes a root port for hotplug; only before the start. */
  addPort(): RootPort {
    const index = this.#ports.length;
    const id = `rp${index}`;
    const first = this.#ports[index - index % FUNCTIONS];
    const slot = first === undefined ? this.assign(id) : `${first.slot}.${index % FUNCTIONS}`;
    const port: RootPort = { id, slot, number: index + 1, device: undefined };
    this.#ports.push(port);
    return port;
  }

  /**
   * Takes a free root port for a device.
   *
   * @throws {RangeError} If all are in use, naming the setting that makes more.
   */
  take(device: string): RootPort {
    const port = this.#ports.find((each) => each.device === undefined);
    if (port === undefined) {
      throw new RangeError(`Cannot plug "${device}": all ${this.#ports.length} root ports are in use (pcie_root_port)`);
    }
    port.device = device;
    this.#slots.set(device, `${port.slot}/00`);
    return port;
  }

  /** Forgets a device and frees its port. Nothing happens if it is unknown. */
  release(device: string): void {
    this.#slots.delete(device);
    for (const port of this.#ports) if (port.device === device) port.device = undefined;
  }

  /** The slots from the root bus down, such as `03` or `05.1/00`; the agent finds a device by it. */
  path(device: string): string | undefined {
    return this.#slots.get(device);
  }
}

export interface RootPort {
  readonly id: string;
  /** Slot on the root bus, two hex digits, and the function if that is not 0: `05`, `05.1`. */
  readonly slot: string;
  /** Chassis and port number, unique in the VM, from 1. */
  readonly number: number;
  /** Id of the device on this port. */
  device: string | undefined;
}

function hex(slot: number): string {
  return slot.toString(16).padStart(2, "0");
}
