/**
 * Proof of the host to the agent over vsock. A vsock has no file mode: every user of the host, and every container on
 * it, can connect to any guest. So the maker of the VM puts a key into it, in a way that shows on no command line, and
 * sends the same key first on each connection. A reserved port of the host would be no proof: engines give their
 * containers the right to take one by default, and there is only one vsock for all of them.
 *
 * ```
 *  host  --- "kata-host " 64 hexadecimal digits "\n" --->  guest     then the connection is what it is for
 * ```
 *
 * Nothing is answered: a caller that sends something else, or nothing, finds the connection closed. So that a flood of
 * strangers leaves the host its place, the host dials from ports that only it knows: see `host_ports.ts`. Through a
 * daemon that stands in for vsock nobody can choose a port; the daemon's socket, and the sockets of the other
 * transports, are in a directory that is root's alone.
 *
 * @module
 */
import { systemClock } from "../../base/clock.ts";
import type { Duplex, Listener } from "./duplex.ts";
import { HostPorts } from "./host_ports.ts";
import { MessageQueue } from "./queue.ts";
import { type HostKey, parseHostKey } from "./host_key.ts";

/** The context id of the host, as its guests see it. */
export const HOST_CID = 2;

/** In the guest this stands before the key's digits, as one of the OEM strings of the firmware (SMBIOS type 11). */
export const HOST_KEY_NAME = "org.katacontainers.host-key=";
/** Stands behind them if the host dials from ports that only it knows. */
const WITH_PORTS = ",ports";

const OPENING = "kata-host ";
/** The host sends its proof with the connection. An emulated guest's clock may run several times too fast. */
const PROOF_MS = 10_000;
/** Connections that have not proved themselves yet; beyond, the oldest go. */
const MOST_UNPROVED = 64;
/** Strangers in a row. Accepting never waits while many of them do: all else needs a turn now and then. */
const MOST_STRANGERS = 16;

/** Proof that a host has to give, as its VMM tells the guest. */
export interface HostMark {
  key: HostKey;
  /** Whether it dials from ports that only it knows. */
  usesHostPorts: boolean;
}

/** One OEM string. */
export function encodeHostMark({ key, usesHostPorts }: HostMark): string {
  return `${HOST_KEY_NAME}${key}${usesHostPorts ? WITH_PORTS : ""}`;
}

/** @param text What stands behind the name. @throws {RangeError} It has no key; the message does not show it. */
export function parseHostMark(text: string): HostMark {
  const usesHostPorts = text.endsWith(WITH_PORTS);
  return { key: parseHostKey(usesHostPorts ? text.slice(0, -WITH_PORTS.length) : text), usesHostPorts };
}

/** First bytes that the host sends on a connection. Always of one length. */
export function proofOf(key: HostKey): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${OPENING}${key}\n`);
}

/** Callers that a listener on vsock serves. */
export interface Admission {
  /** Key that the host must know; undefined: every caller from the host is served. */
  key: HostKey | undefined;
  /** Whether the host, if it has a key, comes from ports that only it knows. */
  usesHostPorts?: boolean;
  /** Hears why a connection was closed. */
  onRefused(reason: string): void;
}

/** A connection that may tell where it comes from; on vsock it does. */
export type Caller = Duplex & { readonly remoteAddr?: { readonly cid?: number; readonly port?: number } };

/** Listener as `Deno.listen` returns it. */
export interface CallerListener extends AsyncIterable<Caller> {
  close(): void;
}

/** @property guestPort Where it listens. */
export type AdmissionAt = Admission & { guestPort: number };

/**
 * Yields the connections of a listener that come from the host and, if there is a key, have proved to know it. Others are
 * closed, and keep nobody waiting.
 */
export function admitHost(listener: CallerListener, admission: AdmissionAt): Listener {
  return new AdmittingListener(listener, admission);
}

class AdmittingListener implements Listener {
  readonly #listener: CallerListener;
  readonly #admission: AdmissionAt;
  readonly #unproved = new Set<AbortController>();
  #hostPorts: HostPorts | undefined;
  #admitted = queueOfConnections();

  constructor(listener: CallerListener, admission: AdmissionAt) {
    this.#listener = listener;
    this.#admission = admission;
  }

  /** May be called again after an error, as with other listeners. */
  [Symbol.asyncIterator](): AsyncIterator<Duplex> {
    const admitted = this.#admitted = queueOfConnections();
    this.#accept().then(() => admitted.end(), (error) => admitted.end({ error }));
    return admitted[Symbol.asyncIterator]();
  }

  close(): void {
    this.#listener.close();
    for (const waiting of this.#unproved) waiting.abort();
    this.#admitted.discard();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #accept(): Promise<void> {
    const { key, usesHostPorts, guestPort, onRefused } = this.#admission;
    if (key !== undefined && usesHostPorts) this.#hostPorts ??= await HostPorts.derive(key, guestPort);
    let strangers = 0;
    for await (const caller of this.#listener) {
      const refused = this.#whyStrange(caller);
      if (refused !== undefined) {
        caller.close();
        onRefused(refused);
        if (++strangers % MOST_STRANGERS === 0) await new Promise((resolve) => setTimeout(resolve, 0));
      } else if (key === undefined) this.#admit(caller);
      else void this.#prove(caller, proofOf(key));
    }
  }

  /** Reason to refuse a caller by its address alone. There may be very many strangers: nothing is kept of one. */
  #whyStrange({ remoteAddr: { cid, port } = {} }: Caller): string | undefined {
    if (cid !== HOST_CID) return `it comes from context id ${cid}, not from the host`;
    if (this.#hostPorts?.use(port) === false) return "it comes from a port that the host does not use for this";
    return undefined;
  }

  async #prove(caller: Caller, expected: Uint8Array): Promise<void> {
    if (this.#unproved.size >= MOST_UNPROVED) this.#giveUpOldest();
    const waiting = new AbortController();
    this.#unproved.add(waiting);
    const refused = await whyRefused(caller, expected, waiting).catch(() => "it ended before its proof");
    this.#unproved.delete(waiting);
    if (refused === undefined) return this.#admit(caller);
    if (!waiting.signal.aborted) caller.close();
    this.#admission.onRefused(refused);
  }

  #admit(caller: Caller): void {
    if (!this.#admitted.push(caller, 0)) caller.close();
  }

  /** The host sends its proof at once, so that its own connection is never old. */
  #giveUpOldest(): void {
    const [oldest] = this.#unproved;
    if (oldest === undefined) return;
    this.#unproved.delete(oldest);
    oldest.abort();
  }
}

function queueOfConnections(): MessageQueue<Duplex> {
  return new MessageQueue({ letGo: (connection) => connection.close() });
}

/** @returns undefined for the host. The connection is closed if `waiting` fires. */
async function whyRefused(
  caller: Duplex,
  expected: Uint8Array,
  waiting: AbortController,
): Promise<string | undefined> {
  const timer = new AbortController();
  systemClock.sleep(PROOF_MS, timer.signal).then(() => waiting.abort(), () => {});
  waiting.signal.addEventListener("abort", () => caller.close(), { once: true });
  const proof = new Uint8Array(expected.length);
  try {
    // Never more than the proof: the bytes that follow belong to the connection.
    for (let length = 0; length < proof.length;) {
      const count = await caller.read(proof.subarray(length));
      if (count === null) return "it ended before its proof";
      length += count;
      // No secret: who speaks another language need not be waited for.
      const opening = proof.subarray(0, Math.min(length, OPENING.length));
      if (!isSame(opening, expected.subarray(0, opening.length))) return "it begins with no proof";
    }
  } finally {
    timer.abort();
  }
  return isSame(proof, expected) ? undefined : "its proof is wrong";
}

/** In the same time whatever differs, so that a key cannot be found piece by piece. */
function isSame(one: Uint8Array, other: Uint8Array): boolean {
  let difference = one.length ^ other.length;
  for (let index = 0; index < one.length; index++) difference |= one[index]! ^ other[index]!;
  return difference === 0;
}
