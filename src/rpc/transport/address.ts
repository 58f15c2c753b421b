/**
 * The wire between all programs. From below: `address` gives a byte stream (`duplex`), whatever it is made of; `channel`
 * puts ttRPC frames (`frame`, `envelope`) on it; `client` and `server` are Connect's typed calls on that. Names that
 * host and guest must spell alike are in `src/agent_api`. The agent loads this folder in a slow guest, so nothing here
 * imports from `node:`.
 *
 * This file: where an agent or a service listens, as one line of text:
 *
 * | address | used by | |
 * |---|---|---|
 * | `unix:///path`, `/path` | both | a unix socket; also `remote:///path`, one that relays to the agent |
 * | `unix://@name` | both | one without a file, which all of a network namespace may dial: for tests |
 * | `vsock://<cid>:<port>` | both | cid -1 is any; it listens on all addresses of the guest |
 * | `hvsock:///path:<port>` | host | a VMM's unix socket that asks for the guest's port first |
 * | `serial:///path` | host | the unix socket of a virtio-serial port's character device |
 * | `serial://<name>` | guest | the virtio-serial port of that name |
 *
 * @module
 */
import { abortable } from "../../base/async.ts";
import { type Duplex, greet, type Listener, writeAll } from "./duplex.ts";
import { drawHostPort } from "./host_ports.ts";
import type { HostKey } from "./host_key.ts";
import { type Admission, admitHost, proofOf } from "./host_proof.ts";
import { connectHybridVsock } from "./hybrid_vsock.ts";
import { findSerialPort, listenSerial, openSerialPort } from "./serial_guest.ts";
import { connectSerial } from "./serial_host.ts";

export type Address =
  | { kind: "unix"; path: string }
  | { kind: "vsock"; cid: number; port: number }
  | { kind: "hvsock"; path: string; port: number }
  | { kind: "serial-socket"; path: string }
  | { kind: "serial-port"; name: string };

/** Any context id: what a listener in the guest uses. */
const CID_ANY = 0xffff_ffff;
/** Leaves the port to the kernel (`VMADDR_PORT_ANY`). */
const PORT_ANY = 0xffff_ffff;
const NEVER = new AbortController().signal;

export interface DialOptions {
  /** Ends the attempt. Afterwards the connection is the caller's, and the signal means nothing to it. */
  signal?: AbortSignal;
  /** How long a VMM behind a hybrid vsock may take to answer its greeting. Default: 10 seconds. */
  answerMs?: number;
  /** Sent first, on the transports that need it: see `host_proof.ts`. */
  key?: HostKey | undefined;
  /**
   * Connects a vsock from a port that was chosen. With a key the host dials from a port that only it knows, else from any,
   * which is enough for an agent that listens to all: see `host_ports.ts`. Without this, an attempt that is given up lasts
   * until the kernel has given up too.
   */
  connectFrom?: ConnectFrom;
}

/** @param ends Where to, and the own port. @throws If nobody listens, or the port is taken. */
export type ConnectFrom = (
  ends: { cid: number; port: number; ownPort: number },
  options: { signal: AbortSignal },
) => Promise<Duplex>;

export interface ListenOptions {
  /** Callers that a listener on vsock serves. */
  admission?: Admission;
}

const FORMS: readonly { pattern: RegExp; read: (...groups: string[]) => Address }[] = [
  { pattern: /^unix:\/\/@([^\0]+)$/, read: (name) => ({ kind: "unix", path: `\0${name}` }) },
  { pattern: /^(?:unix:\/\/|remote:\/\/)?(\/.+)$/, read: (path) => ({ kind: "unix", path: path! }) },
  {
    pattern: /^vsock:\/\/(-1|\d+):(\d+)$/,
    read: (cid, port) => ({ kind: "vsock", cid: cid === "-1" ? CID_ANY : Number(cid), port: Number(port) }),
  },
  { pattern: /^hvsock:\/\/(\/.+):(\d+)$/, read: (path, port) => ({ kind: "hvsock", path: path!, port: Number(port) }) },
  { pattern: /^serial:\/\/(\/.+)$/, read: (path) => ({ kind: "serial-socket", path: path! }) },
  { pattern: /^serial:\/\/([^/]+)$/, read: (name) => ({ kind: "serial-port", name: name! }) },
];

/** @throws {RangeError} If the text is none of the forms above. */
export function parseAddress(text: string): Address {
  for (const { pattern, read } of FORMS) {
    const match = pattern.exec(text);
    if (match !== null) return read(...match.slice(1));
  }
  throw new RangeError(
    `Cannot read address "${text}": known are unix://, vsock://, hvsock://, serial:// and remote://`,
  );
}

/**
 * Connects to an address of the host's side, once: a caller that waits for a guest to boot repeats it.
 *
 * @throws If nobody listens, or the peer behind the socket does not answer its greeting.
 */
export async function dial(text: string, options: DialOptions = {}): Promise<Duplex> {
  const { signal = NEVER, key } = options;
  const address = parseAddress(text);
  try {
    signal.throwIfAborted();
    const duplex = await connect(address, { ...options, signal });
    const needsProof = address.kind === "vsock" || address.kind === "hvsock";
    return needsProof && key !== undefined ? await prove(duplex, key, signal) : duplex;
  } catch (cause) {
    throw new Error(`Cannot connect to ${text}`, { cause });
  }
}

/**
 * Listens on an address of the kinds unix, vsock and serial-port. On vsock only the machine's own host is served, as
 * `admission` says.
 *
 * @throws If the address is taken or has no port here, or is a vsock without an admission.
 */
export function listen(text: string, { admission }: ListenOptions = {}): Listener {
  const address = parseAddress(text);
  try {
    switch (address.kind) {
      case "unix":
        return Deno.listen({ transport: "unix", path: address.path });
      case "vsock": {
        if (admission === undefined) throw new TypeError("A vsock needs to know whom to serve");
        const listener = Deno.listen({ transport: "vsock", cid: address.cid, port: address.port });
        return admitHost(listener, { ...admission, guestPort: address.port });
      }
      case "serial-port":
        return listenSerial(openSerialPort(findSerialPort(address.name)));
      case "hvsock":
      case "serial-socket":
        throw new TypeError(`Only the host's side can use the kind ${address.kind}`);
    }
  } catch (cause) {
    throw new Error(`Cannot listen on ${text}`, { cause });
  }
}

async function connect(address: Address, options: DialOptions & { signal: AbortSignal }): Promise<Duplex> {
  const { signal, key, connectFrom } = options;
  switch (address.kind) {
    case "unix":
      return await Deno.connect({ transport: "unix", path: address.path });
    case "vsock":
      if (connectFrom === undefined) return await connectVsock(address, signal);
      return await connectFrom({ ...address, ownPort: await ownPort(key, address.port) }, { signal });
    case "hvsock":
      return await connectHybridVsock(address.path, address.port, options);
    case "serial-socket":
      return await connectSerial(await Deno.connect({ transport: "unix", path: address.path }), signal);
    case "serial-port":
      throw new TypeError("Only the guest can open a port by its name");
  }
}

async function ownPort(key: HostKey | undefined, port: number): Promise<number> {
  return key === undefined ? PORT_ANY : await drawHostPort(key, port);
}

async function prove(duplex: Duplex, key: HostKey, signal: AbortSignal): Promise<Duplex> {
  return await greet(duplex, signal, async () => {
    await writeAll(duplex, proofOf(key));
    return duplex;
  });
}

/** An attempt ends with its caller: the kernel gives up after two seconds, and nothing here can make it do so before. */
async function connectVsock({ cid, port }: { cid: number; port: number }, signal: AbortSignal): Promise<Duplex> {
  const connecting = Deno.connect({ transport: "vsock", cid, port });
  try {
    return await abortable(connecting, signal);
  } catch (error) {
    await connecting.then((late) => late.close(), () => {});
    throw error;
  }
}
