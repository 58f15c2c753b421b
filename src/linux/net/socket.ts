/**
 * Unix stream sockets, with descriptors passed along (SCM_RIGHTS), which Deno's own sockets cannot do.
 *
 * @see https://man7.org/linux/man-pages/man7/unix.7.html
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { Fd, O_CLOEXEC } from "../io/fd.ts";
import { addressIn, bind, check, LITTLE_ENDIAN } from "../ffi/libc.ts";
import { readable, type WaitOptions } from "../io/poll.ts";

const libc = bind({
  socket: { parameters: ["i32", "i32", /* type */ "i32" /* protocol */], result: "i32" },
  socketpair: { parameters: ["i32", "i32", /* type */ "i32", /* protocol */ "buffer" /* int[2] */], result: "i32" },
  bind: { parameters: ["i32", "buffer", /* sockaddr */ "u32" /* length */], result: "i32" },
  connect: { parameters: ["i32", "buffer", /* sockaddr */ "u32" /* length */], result: "i32" },
  listen: { parameters: ["i32", "i32" /* backlog */], result: "i32" },
  accept4: { parameters: ["i32", "pointer", "pointer", "i32" /* flags */], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", /* msghdr */ "i32" /* flags */], result: "i64" },
  recvmsg: { parameters: ["i32", "buffer", /* msghdr */ "i32" /* flags */], result: "i64" },
  getsockopt: {
    parameters: ["i32", "i32", /* level */ "i32", /* name */ "buffer", "buffer" /* size */],
    result: "i32",
  },
  setsockopt: {
    parameters: ["i32", "i32", /* level */ "i32", /* name */ "buffer", /* value */ "u32" /* size */],
    result: "i32",
  },
});

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_SNDBUFFORCE = 32;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;

/** sun_path, with its NUL. */
const MAX_PATH = 108;

/** struct sockaddr_un. @throws {RangeError} The path is longer than the kernel takes. */
export function unixAddress(path: string): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(path);
  if (name.length >= MAX_PATH) {
    throw new RangeError(
      `Cannot use socket path "${path}": ${name.length} bytes, at most ${MAX_PATH - 1} are possible`,
    );
  }
  const address = new Uint8Array(2 + name.length + 1);
  new DataView(address.buffer).setUint16(0, AF_UNIX, LITTLE_ENDIAN);
  address.set(name, 2);
  return address;
}

function streamSocket(): Fd {
  return new Fd(check("socket", () => libc.socket(AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0)));
}

/**
 * @returns A connection that blocks; set it nonblocking to poll it.
 * @throws {ErrnoError} `connect /run/x.sock: ECONNREFUSED`
 */
export function connectUnix(path: string): Fd {
  const address = unixAddress(path);
  using stack = new DisposableStack();
  const socket = stack.use(streamSocket());
  check("connect", () => libc.connect(socket.number, address, address.length), path);
  stack.move();
  return socket;
}

/**
 * Listens on a new socket file, which the caller removes in the end.
 *
 * @throws {ErrnoError} EADDRINUSE if the path exists, even if nobody listens there any more.
 */
export function listenUnix(path: string, { backlog = 128 }: { backlog?: number } = {}): Fd {
  const address = unixAddress(path);
  using stack = new DisposableStack();
  const socket = stack.use(streamSocket());
  check("bind", () => libc.bind(socket.number, address, address.length), path);
  check("listen", () => libc.listen(socket.number, backlog), path);
  stack.move();
  return socket;
}

/** Waits for the next connection. */
export async function acceptUnix(listener: Fd, options: WaitOptions = {}): Promise<Fd> {
  // Else a client that gives up between poll and accept would leave us blocked.
  listener.setNonblocking();
  for (;;) {
    await readable(listener, options);
    try {
      return new Fd(check("accept", () => libc.accept4(listener.number, null, null, O_CLOEXEC)));
    } catch (error) {
      if (!isErrno(error, "EAGAIN", "ECONNABORTED")) throw error;
    }
  }
}

/** Two connected sockets. The caller disposes both. */
export function socketPair(): [Fd, Fd] {
  const ends = new Int32Array(2);
  check("socketpair", () => libc.socketpair(AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0, ends));
  return [new Fd(ends[0]!), new Fd(ends[1]!)];
}

/** How much may wait to be read, what the kernel adds to each message included; more than the usual most takes CAP_NET_ADMIN. */
export function setSendBuffer(socket: Fd, bytes: number): void {
  const value = Int32Array.of(bytes);
  const set = (name: number) =>
    check("setsockopt", () => libc.setsockopt(socket.number, SOL_SOCKET, name, value, value.byteLength));
  try {
    set(SO_SNDBUFFORCE);
  } catch (error) {
    if (!isErrno(error, "EPERM")) throw error;
    set(SO_SNDBUF);
  }
}

/** struct cmsghdr, before the descriptors. */
const CMSG_HEADER = 16;
/** struct msghdr */
const MSGHDR_SIZE = 56;
/** struct iovec */
const IOVEC_SIZE = 16;

/** The kernel's limit per message (SCM_MAX_FD). */
const MAX_FDS = 253;

/** A msghdr with all that it points to in one buffer, as no part may be collected before the call. */
function message(dataSize: number, controlSize: number) {
  const size = MSGHDR_SIZE + IOVEC_SIZE + Math.ceil(controlSize / 8) * 8;
  const whole = new Uint8Array(size + dataSize);
  const view = new DataView(whole.buffer);
  const controlOffset = MSGHDR_SIZE + IOVEC_SIZE;
  view.setBigUint64(16, addressIn(whole, MSGHDR_SIZE), LITTLE_ENDIAN); // msg_iov
  view.setBigUint64(24, 1n, LITTLE_ENDIAN); // msg_iovlen
  if (controlSize > 0) view.setBigUint64(32, addressIn(whole, controlOffset), LITTLE_ENDIAN); // msg_control
  view.setBigUint64(40, BigInt(size - controlOffset), LITTLE_ENDIAN); // msg_controllen
  view.setBigUint64(MSGHDR_SIZE, addressIn(whole, size), LITTLE_ENDIAN); // iov_base
  view.setBigUint64(MSGHDR_SIZE + 8, BigInt(dataSize), LITTLE_ENDIAN); // iov_len
  return {
    whole,
    data: whole.subarray(size),
    control: new DataView(whole.buffer, controlOffset, size - controlOffset),
    controlUsed: () => Number(view.getBigUint64(40, LITTLE_ENDIAN)),
  };
}

/**
 * Sends data with descriptors attached to its first byte; the caller keeps its own.
 *
 * @param data At least a byte: a message without data carries no descriptors on a stream.
 * @returns Bytes sent, perhaps less than given; the descriptors went with the first.
 */
export function sendFds(socket: Fd, data: Uint8Array<ArrayBuffer>, fds: readonly Fd[]): number {
  if (data.length === 0 || fds.length > MAX_FDS) {
    throw new RangeError(`Cannot send ${fds.length} descriptors with ${data.length} bytes`);
  }
  const size = fds.length === 0 ? 0 : CMSG_HEADER + 4 * fds.length;
  const sent = message(data.length, size);
  sent.data.set(data);
  if (size > 0) {
    sent.control.setBigUint64(0, BigInt(size), LITTLE_ENDIAN);
    sent.control.setInt32(8, SOL_SOCKET, LITTLE_ENDIAN);
    sent.control.setInt32(12, SCM_RIGHTS, LITTLE_ENDIAN);
    fds.forEach((fd, index) => sent.control.setInt32(CMSG_HEADER + 4 * index, fd.number, LITTLE_ENDIAN));
  }
  return check("sendmsg", () => libc.sendmsg(socket.number, sent.whole, MSG_NOSIGNAL));
}

/** Result of one recvmsg(2). */
export interface Received {
  /** Bytes in the buffer, 0 at the end of the stream. */
  length: number;
  /** The caller owns them. */
  fds: Fd[];
}

/**
 * Receives data and the descriptors that came with it.
 *
 * @throws {ErrnoError} EAGAIN on a nonblocking socket without data.
 */
export function receiveFds(socket: Fd, buffer: Uint8Array<ArrayBuffer>): Received {
  const received = message(buffer.length, CMSG_HEADER + 4 * MAX_FDS);
  const length = check("recvmsg", () => libc.recvmsg(socket.number, received.whole, MSG_CMSG_CLOEXEC));
  buffer.set(received.data.subarray(0, length));
  return { length, fds: descriptors(received.control, received.controlUsed()) };
}

function descriptors(control: DataView<ArrayBuffer>, used: number): Fd[] {
  const fds: Fd[] = [];
  for (let at = 0; at + CMSG_HEADER <= used;) {
    const size = Number(control.getBigUint64(at, LITTLE_ENDIAN));
    const isRights = control.getInt32(at + 8, LITTLE_ENDIAN) === SOL_SOCKET &&
      control.getInt32(at + 12, LITTLE_ENDIAN) === SCM_RIGHTS;
    for (let fd = at + CMSG_HEADER; isRights && fd + 4 <= at + size; fd += 4) {
      fds.push(new Fd(control.getInt32(fd, LITTLE_ENDIAN)));
    }
    at += Math.max(CMSG_HEADER, Math.ceil(size / 8) * 8);
  }
  return fds;
}
