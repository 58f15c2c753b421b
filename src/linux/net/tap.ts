/**
 * Tap devices and the descriptors that a VMM gets for them.
 *
 * @see https://docs.kernel.org/networking/tuntap.html
 * @module
 */
import { ErrnoError, isErrno } from "../ffi/errno.ts";
import { Fd, O_RDWR } from "../io/fd.ts";
import { ioctl } from "../ffi/ioctl.ts";
import { cstring } from "../ffi/libc.ts";

const TUNSETIFF = { name: "TUNSETIFF", number: 0x400454ca };
const TUNSETPERSIST = { name: "TUNSETPERSIST", number: 0x400454cb };
const TUNSETOWNER = { name: "TUNSETOWNER", number: 0x400454cc };
const TUNSETGROUP = { name: "TUNSETGROUP", number: 0x400454ce };
const TUNSETVNETHDRSZ = { name: "TUNSETVNETHDRSZ", number: 0x400454d8 };

const IFF_TAP = 0x0002;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;

/** `struct virtio_net_hdr_mrg_rxbuf`, which virtio 1 devices use. */
const VNET_HEADER_SIZE = 12;

/** `struct ifreq`: the name, then a union of which flags are the first two bytes. */
const IFREQ_SIZE = 40;
const IFNAMSIZ = 16;

/** How a tap is made. */
export interface TapOptions {
  /** Descriptors, each a pair of receive and transmit queues. */
  queues?: number;
  /** Lives on without descriptors, until the link is deleted. */
  persist?: boolean;
  /** User and group who may open the tap without being root. */
  uid?: number;
  gid?: number;
}

/** A tap device; without `persist` it ends with the last of its descriptors. */
export interface Tap extends Disposable {
  readonly name: string;
  /** Descriptors of the tap, one for each queue. */
  readonly fds: readonly Fd[];
}

/**
 * Makes a tap device, or takes hold of a persistent one, in the network namespace that this thread is in now. Packets
 * start with a virtio-net header of 12 bytes, as VMMs want it.
 *
 * @param name Up to 15 bytes; the kernel puts a number in place of `%d`.
 * @throws {ErrnoError} EBUSY: the device is in use. EINVAL: it exists with another number of queues.
 */
export function openTap(name: string, { queues = 1, persist = false, uid, gid }: TapOptions = {}): Tap {
  using undo = new DisposableStack();
  const fds: Fd[] = [];
  let actualName = name;
  for (let queue = 0; queue < queues; queue++) {
    const fd = undo.use(Fd.open("/dev/net/tun", O_RDWR));
    actualName = attachQueue(fd, { name: actualName, isMulti: queues > 1 });
    fds.push(fd);
  }
  const [first] = fds;
  if (first === undefined) throw new RangeError(`Cannot open tap "${name}" with ${queues} queues`);
  if (uid !== undefined) ioctl(first, TUNSETOWNER, { argument: uid, detail: name });
  if (gid !== undefined) ioctl(first, TUNSETGROUP, { argument: gid, detail: name });
  if (persist) ioctl(first, TUNSETPERSIST, { argument: 1, detail: name });
  const owned = undo.move();
  return { name: actualName, fds, [Symbol.dispose]: () => owned.dispose() };
}

/** @returns The name that the device has in the end. */
function attachQueue(fd: Fd, { name, isMulti }: { name: string; isMulti: boolean }): string {
  const request = new Uint8Array(IFREQ_SIZE);
  const text = cstring(name);
  if (text.length > IFNAMSIZ) throw new RangeError(`Cannot name a tap "${name}": at most 15 bytes`);
  request.set(text);
  const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (isMulti ? IFF_MULTI_QUEUE : 0);
  request.set([flags & 0xff, flags >> 8], IFNAMSIZ);
  ioctl(fd, TUNSETIFF, { argument: request, detail: name });
  ioctl(fd, TUNSETVNETHDRSZ, { argument: Uint32Array.of(VNET_HEADER_SIZE), detail: name });
  return new TextDecoder().decode(request.subarray(0, request.indexOf(0)));
}

const NO_SUCH_BACKEND = ["ENOENT", "ENODEV", "ENXIO", "EACCES", "EPERM"] as const;

/** The kernel's virtio-net backend of a tap: a descriptor for each queue of it, or none and why. */
export interface VhostNet {
  /** The caller's. */
  readonly fds: readonly Fd[];
  /** undefined: it has all. */
  readonly obstacle: ErrnoError | undefined;
}

/**
 * Opens all that a card needs, or none: a card with some of them would be refused by the monitor.
 *
 * @param queues How many.
 * @throws {ErrnoError} For another reason than that the host has none for us.
 */
export function openVhostNet(queues: number, open: () => Fd = openVhostNode): VhostNet {
  using undo = new DisposableStack();
  try {
    const fds = Array.from({ length: queues }, () => undo.use(open()));
    undo.move();
    return { fds, obstacle: undefined };
  } catch (error) {
    if (!(error instanceof ErrnoError && isErrno(error, ...NO_SUCH_BACKEND))) throw error;
    return { fds: [], obstacle: error };
  }
}

function openVhostNode(): Fd {
  return Fd.open("/dev/vhost-net", O_RDWR);
}
