/**
 * The kernel's side of a VM's vsock device. Connections over it are Deno's.
 *
 * @see https://man7.org/linux/man-pages/man7/vsock.7.html
 * @module
 */
import { isErrno } from "../../ffi/errno.ts";
import { Fd, O_RDONLY, O_RDWR } from "../../io/fd.ts";
import { ioctl } from "../../ffi/ioctl.ts";

const VHOST_VSOCK_SET_GUEST_CID = { name: "VHOST_VSOCK_SET_GUEST_CID", number: 0x4008af60 };
const IOCTL_VM_SOCKETS_GET_LOCAL_CID = { name: "IOCTL_VM_SOCKETS_GET_LOCAL_CID", number: 0x7b9 };

/** 0 to 2 stand for the hypervisor, the machine itself and the host. */
const FIRST_GUEST_CID = 3;
/** Context id that a machine without a vsock device reports (`VMADDR_CID_ANY`). */
const ANY_CID = 0xffffffff;
const LAST_GUEST_CID = ANY_CID - 1;

/** A vhost-vsock descriptor with its context id; the id is taken as long as the descriptor is open. */
export interface GuestVsock extends Disposable {
  readonly fd: Fd;
  readonly cid: number;
}

/** Where the device is and how ids are drawn; other ones in tests. */
export interface GuestVsockOptions {
  device?: string;
  /** Numbers from 0 to below 1. */
  random?: () => number;
}

/**
 * Takes a context id that no other VM of this host has.
 *
 * @throws {ErrnoError} ENOENT: the host's kernel has no such device; ENODEV, ENXIO: only its node is there, as systemd
 * makes it for a module that cannot be loaded; EACCES, EPERM: not for us.
 */
export function allocateGuestCid(options: GuestVsockOptions = {}): GuestVsock {
  const { device = "/dev/vhost-vsock", random = Math.random } = options;
  using undo = new DisposableStack();
  const fd = undo.use(Fd.open(device, O_RDWR));
  for (let attempt = 0; attempt < 100; attempt++) {
    const cid = randomCid(random);
    try {
      ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, { argument: BigUint64Array.of(BigInt(cid)), detail: String(cid) });
    } catch (error) {
      if (isErrno(error, "EADDRINUSE")) continue;
      throw error;
    }
    const owned = undo.move();
    return { fd, cid, [Symbol.dispose]: () => owned.dispose() };
  }
  throw new Error("Cannot find a free vsock context id");
}

/** Any that a guest may have. */
export function randomCid(random: () => number): number {
  return FIRST_GUEST_CID + Math.floor(random() * (LAST_GUEST_CID - FIRST_GUEST_CID + 1));
}

/** This machine's own context id; undefined without a vsock device. */
export function localCid(device = "/dev/vsock"): number | undefined {
  try {
    using fd = Fd.open(device, O_RDONLY);
    const cid = new Uint32Array(1);
    ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, { argument: cid });
    return cid[0] === ANY_CID ? undefined : cid[0];
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return undefined;
    throw error;
  }
}
