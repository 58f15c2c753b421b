/**
 * Ports of the host from which the agent takes connections. Every user of the host can connect to a guest's vsock, as
 * often as he likes; most of these connections are refused by their port alone, at once, so that they take no place
 * from the host's own.
 *
 * Both sides make the same list of ports from the VM's key. The host dials from any of them, the agent lets in each
 * once: a user who watches the host's sockets learns only numbers that are spent, or that the host holds. No dialer has
 * to count along, so that any number of dialers, and one that was started anew, do the same.
 *
 * @module
 */
import type { HostKey } from "./host_key.ts";

/**
 * More than a VM is dialled in its life, attempts while it boots included. Of 2^32 numbers, so that a stranger who tries
 * finds one in a million, and has then still proved nothing.
 */
const PORTS = 4096;
/** Below, a port takes a capability. */
const FIRST_PORT = 1024;
/** Stands for any port (VMADDR_PORT_ANY). */
const ANY_PORT = 0xffff_ffff;

/** The last list: a host that waits for its guest dials over and over. */
let last: { key: HostKey; guestPort: number; ports: Promise<HostPorts> } | undefined;

/** A port to dial from. */
export async function drawHostPort(key: HostKey, guestPort: number): Promise<number> {
  if (last?.key !== key || last.guestPort !== guestPort) {
    last = { key, guestPort, ports: HostPorts.derive(key, guestPort) };
  }
  return (await last.ports).any();
}

/** The ports that are good for one port of the guest. */
export class HostPorts {
  readonly #all: readonly number[];
  readonly #left: Set<number>;

  /** Use {@linkcode HostPorts.derive}. */
  constructor(ports: Iterable<number>) {
    this.#left = new Set(ports);
    this.#all = [...this.#left];
  }

  /** @param guestPort Where the guest listens: what was used up at one place is no good at another. */
  static async derive(key: HostKey, guestPort: number): Promise<HostPorts> {
    // The key stream of a cipher in counter mode: nobody gets from a part of it to the rest, or to the key.
    const counter = new Uint8Array(16);
    new DataView(counter.buffer).setUint32(0, guestPort);
    const isExtractable = false;
    const bytes = Uint8Array.fromHex(key);
    const cipher = await crypto.subtle.importKey("raw", bytes, "AES-CTR", isExtractable, ["encrypt"]);
    const zeros = new Uint8Array(PORTS * Uint32Array.BYTES_PER_ELEMENT);
    const view = new DataView(await crypto.subtle.encrypt({ name: "AES-CTR", counter, length: 64 }, cipher, zeros));
    const ports = Array.from({ length: PORTS }, (_, index) => view.getUint32(index * Uint32Array.BYTES_PER_ELEMENT));
    return new HostPorts(ports.filter((port) => port >= FIRST_PORT && port !== ANY_PORT));
  }

  /** Returns a port to dial from. */
  any(): number {
    const [random] = crypto.getRandomValues(new Uint32Array(1));
    return this.#all[random! % this.#all.length]!;
  }

  /** @returns Whether a connection from this port may come in: once, until all have been used. */
  use(port: number | undefined): boolean {
    if (port === undefined || !this.#left.delete(port)) return false;
    if (this.#left.size === 0) { for (const each of this.#all) this.#left.add(each); }
    return true;
  }
}
