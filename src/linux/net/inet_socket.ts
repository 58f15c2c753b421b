/**
 * TCP and UDP sockets as descriptors, for what Deno's own cannot do: be in another network namespace, and end without a word.
 *
 * @see https://man7.org/linux/man-pages/man7/ip.7.html
 * @see https://man7.org/linux/man-pages/man7/tcp.7.html
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { bind, check, LITTLE_ENDIAN } from "../ffi/libc.ts";
import { Fd, O_CLOEXEC, O_NONBLOCK } from "../io/fd.ts";
import { parseIp } from "./ip_address.ts";

const libc = bind({
  socket: { parameters: ["i32", /* domain */ "i32", /* type */ "i32" /* protocol */], result: "i32" },
  bind: { parameters: ["i32", /* fd */ "buffer", /* address */ "u32" /* length */], result: "i32" },
  listen: { parameters: ["i32", /* fd */ "i32" /* backlog */], result: "i32" },
  getsockname: { parameters: ["i32", /* fd */ "buffer", /* address */ "buffer" /* length */], result: "i32" },
  setsockopt: {
    parameters: ["i32", /* fd */ "i32", /* level */ "i32", /* name */ "buffer", "u32" /* length */],
    result: "i32",
  },
  shutdown: { parameters: ["i32", /* fd */ "i32" /* how */], result: "i32" },
  connect: { parameters: ["i32", /* fd */ "buffer", /* address */ "u32" /* length */], result: "i32" },
  recvfrom: {
    parameters: ["i32", /* fd */ "buffer", "usize", /* length */ "i32", /* flags */ "buffer", "buffer" /* from */],
    result: "isize",
  },
  sendto: {
    parameters: ["i32", /* fd */ "buffer", "usize", /* length */ "i32", /* flags */ "buffer", "u32" /* to */],
    result: "isize",
  },
});

const AF_INET = 2;
const TYPES = { tcp: 1, udp: 2 } as const;
/** `struct sockaddr_in`: u16 family, big-endian u16 port, four bytes of the address, eight of nothing. */
const ADDRESS_SIZE = 16;

/** An end of a connection. */
export interface Endpoint {
  /** IPv4. */
  address: string;
  port: number;
}

/** Makes an IPv4 socket that never blocks, in the network namespace that this thread is in now; it stays in that. */
export function inetSocket(protocol: keyof typeof TYPES): Fd {
  const type = TYPES[protocol] | O_CLOEXEC | O_NONBLOCK;
  return new Fd(check("socket", () => libc.socket(AF_INET, type, 0)));
}

/** @throws {ErrnoError} EADDRINUSE, EADDRNOTAVAIL */
export function bindInet(socket: Fd, to: Endpoint): void {
  check("bind", () => libc.bind(socket.number, encode(to), ADDRESS_SIZE), `${to.address}:${to.port}`);
}

/** Begins to connect; of TCP the first write tells how that ended. @throws {ErrnoError} ECONNREFUSED, ENETUNREACH */
export function connectInet(socket: Fd, to: Endpoint): void {
  try {
    check("connect", () => libc.connect(socket.number, encode(to), ADDRESS_SIZE), `${to.address}:${to.port}`);
  } catch (error) {
    if (!isErrno(error, "EINPROGRESS")) throw error;
  }
}

/** The sender of a datagram, for {@linkcode sendTo}. */
export type Sender = Uint8Array<ArrayBuffer>;

/** Takes the next datagram. @returns undefined if there is none. */
export function receiveFrom(socket: Fd, buffer: Uint8Array<ArrayBuffer>): { length: number; from: Sender } | undefined {
  const from = new Uint8Array(ADDRESS_SIZE);
  const size = Uint32Array.of(ADDRESS_SIZE);
  try {
    const length = check(
      "recvfrom",
      () => Number(libc.recvfrom(socket.number, buffer, BigInt(buffer.length), 0, from, size)),
    );
    return { length, from };
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return undefined;
    throw error;
  }
}

/** @throws {ErrnoError} EAGAIN: there is no room now; EMSGSIZE. */
export function sendTo(socket: Fd, data: Uint8Array<ArrayBuffer>, to: Sender): void {
  check("sendto", () => Number(libc.sendto(socket.number, data, BigInt(data.length), 0, to, ADDRESS_SIZE)));
}

function encode({ address, port }: Endpoint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ADDRESS_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, LITTLE_ENDIAN);
  view.setUint16(2, port);
  bytes.set(parseIp(address).subarray(0, 4), 4);
  return bytes;
}

const SOL_SOCKET = 1;
const SO_LINGER = 13;
const SHUT_WR = 1;

/**
 * `struct sockaddr_in` and `sockaddr_in6` begin with a u16 family and a big-endian u16 port; the address follows at 4
 * or 8.
 */
const PORT_OFFSET = 2;
const LOOPBACK = {
  inet: { family: 2, size: 16, at: 4, address: [127, 0, 0, 1] },
  inet6: { family: 10, size: 28, at: 8, address: [...new Array<number>(15).fill(0), 1] },
} as const;

/**
 * Listens on a free port of the loopback in the network namespace that this thread is in now.
 *
 * @throws {ErrnoError} EADDRNOTAVAIL: it is not up, or has no such family.
 */
export function listenOnLoopback(family: keyof typeof LOOPBACK, backlog: number): Fd {
  const { family: number, size, at, address: bytes } = LOOPBACK[family];
  using undo = new DisposableStack();
  const socket = undo.use(new Fd(check("socket", () => libc.socket(number, TYPES.tcp | O_CLOEXEC, 0))));
  const address = new Uint8Array(size);
  new DataView(address.buffer).setUint16(0, number, LITTLE_ENDIAN);
  address.set(bytes, at);
  check("bind", () => libc.bind(socket.number, address, size), `the loopback's ${family}`);
  check("listen", () => libc.listen(socket.number, backlog));
  undo.move();
  return socket;
}

/** The port that a connection was made to. */
export function localPort(socket: Fd): number {
  const address = new Uint8Array(LOOPBACK.inet6.size);
  check("getsockname", () => libc.getsockname(socket.number, address, Uint32Array.of(address.length)));
  return new DataView(address.buffer).getUint16(PORT_OFFSET);
}

/** Tells the other end that nothing follows; it may still send. */
export function finishWriting(socket: Fd): void {
  check("shutdown", () => libc.shutdown(socket.number, SHUT_WR));
}

/** Makes the closing of a socket a reset: the other end learns that something went wrong. */
export function resetAtClose(socket: Fd): void {
  const linger = Int32Array.of(1, 0);
  check("setsockopt", () => libc.setsockopt(socket.number, SOL_SOCKET, SO_LINGER, linger, linger.byteLength));
}
