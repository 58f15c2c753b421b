/**
 * TCP sockets as descriptors, for what Deno's own cannot do: be in another network namespace, and end without a word.
 *
 * @see https://man7.org/linux/man-pages/man7/tcp.7.html
 * @module
 */
import { Fd, O_CLOEXEC } from "../io/fd.ts";
import { bind, check, LITTLE_ENDIAN } from "../ffi/libc.ts";

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
});

const SOCK_STREAM = 1;
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
  const socket = undo.use(new Fd(check("socket", () => libc.socket(number, SOCK_STREAM | O_CLOEXEC, 0))));
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
