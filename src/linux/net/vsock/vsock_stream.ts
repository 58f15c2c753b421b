/**
 * Vsock connections from a port that the caller chooses, which Deno's own cannot do.
 *
 * @see https://man7.org/linux/man-pages/man7/vsock.7.html
 * @module
 */
import { ErrnoError, isErrno } from "../../ffi/errno.ts";
import { Fd, O_CLOEXEC, O_NONBLOCK } from "../../io/fd.ts";
import { type FdDuplex, fdDuplex } from "../../io/fd_stream.ts";
import { bind, check, LITTLE_ENDIAN } from "../../ffi/libc.ts";
import { type WaitOptions, writable } from "../../io/poll.ts";

const libc = bind({
  socket: { parameters: ["i32", "i32", /* type */ "i32" /* protocol */], result: "i32" },
  bind: { parameters: ["i32", "buffer", /* sockaddr */ "u32" /* length */], result: "i32" },
  connect: { parameters: ["i32", "buffer", /* sockaddr */ "u32" /* length */], result: "i32" },
  getsockopt: {
    parameters: ["i32", "i32", /* level */ "i32", /* name */ "buffer", "buffer" /* size */],
    result: "i32",
  },
});

const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
/** Binds to the machine's own context id, which need not be known (`VMADDR_CID_ANY`). */
const CID_ANY = 0xffff_ffff;

/** struct sockaddr_vm */
export function vsockAddress({ cid, port }: { cid: number; port: number }): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint16(0, AF_VSOCK, LITTLE_ENDIAN);
  view.setUint32(4, port, LITTLE_ENDIAN);
  view.setUint32(8, cid, LITTLE_ENDIAN);
  return new Uint8Array(view.buffer);
}

/** Both ends of a connection. */
export interface VsockEnds {
  cid: number;
  port: number;
  /** Below 1024 it takes CAP_NET_BIND_SERVICE. */
  ownPort: number;
}

/**
 * Connects to another machine's port. The kernel gives up after two seconds.
 *
 * @throws {ErrnoError} EADDRINUSE: the own port is taken; ECONNRESET: nobody listens there, or too many connections
 * wait already; ENODEV: there is no such machine; ETIMEDOUT: it has not set up its device.
 */
export async function connectVsock(ends: VsockEnds, options: WaitOptions = {}): Promise<FdDuplex> {
  using undo = new DisposableStack();
  const type = SOCK_STREAM | O_CLOEXEC | O_NONBLOCK;
  const socket = undo.use(new Fd(check("socket", () => libc.socket(AF_VSOCK, type, 0))));
  const own = vsockAddress({ cid: CID_ANY, port: ends.ownPort });
  // The port is a secret until it is used up: no word of it.
  check("bind", () => libc.bind(socket.number, own, own.length));
  const peer = vsockAddress(ends);
  const name = `vsock ${ends.cid}:${ends.port}`;
  try {
    check("connect", () => libc.connect(socket.number, peer, peer.length), name);
  } catch (error) {
    if (!isErrno(error, "EINPROGRESS")) throw error;
    await writable(socket, options);
    const errno = socketError(socket);
    if (errno !== 0) throw new ErrnoError("connect", errno, name);
  }
  undo.move();
  return fdDuplex(socket);
}

/** Reads the result of a connect that went on in the background: 0 or an errno (SO_ERROR). */
function socketError(socket: Fd): number {
  const [value, size] = [new Int32Array(1), Uint32Array.of(4)];
  check("getsockopt", () => libc.getsockopt(socket.number, SOL_SOCKET, SO_ERROR, value, size));
  return value[0]!;
}
