/** Unix datagram sockets, for the system log and for readiness. @see https://man7.org/linux/man-pages/man7/unix.7.html @module */
import { Fd, O_CLOEXEC, O_NONBLOCK } from "../io/fd.ts";
import { bind, check } from "../ffi/libc.ts";
import { unixAddress } from "./socket.ts";

const libc = bind({
  socket: { parameters: ["i32", "i32", /* type */ "i32" /* protocol */], result: "i32" },
  bind: { parameters: ["i32", "buffer", /* sockaddr */ "u32" /* length */], result: "i32" },
  connect: { parameters: ["i32", "buffer", /* sockaddr */ "u32" /* length */], result: "i32" },
});

const AF_UNIX = 1;
const SOCK_DGRAM = 2;

function datagramSocket(): Fd {
  const flags = SOCK_DGRAM | O_CLOEXEC | O_NONBLOCK;
  return new Fd(check("socket", () => libc.socket(AF_UNIX, flags, 0)));
}

/**
 * A socket each read of which is one message to a new socket file, which the caller removes in the end. It never blocks.
 *
 * @throws {ErrnoError} EADDRINUSE if the path exists.
 */
export function bindDatagram(path: string): Fd {
  const address = unixAddress(path);
  using stack = new DisposableStack();
  const socket = stack.use(datagramSocket());
  check("bind", () => libc.bind(socket.number, address, address.length), path);
  stack.move();
  return socket;
}

/**
 * A socket each write of which is one message to the socket bound to `path`. It never blocks: EAGAIN when the receiver
 * is behind.
 *
 * @throws {ErrnoError} `connect /dev/log: ENOENT`
 */
export function connectDatagram(path: string): Fd {
  const address = unixAddress(path);
  using stack = new DisposableStack();
  const socket = stack.use(datagramSocket());
  check("connect", () => libc.connect(socket.number, address, address.length), path);
  stack.move();
  return socket;
}
