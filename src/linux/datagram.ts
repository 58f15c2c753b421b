/** Unix datagram sockets, for the system log. @see https://man7.org/linux/man-pages/man7/unix.7.html @module */
import { Fd, O_CLOEXEC, O_NONBLOCK } from "./fd.ts";
import { bind, check } from "./libc.ts";
import { unixAddress } from "./socket.ts";

const libc = bind({
  socket: { parameters: ["i32", "i32", /* type */ "i32" /* protocol */], result: "i32" },
  connect: { parameters: ["i32", "buffer", /* sockaddr */ "u32" /* length */], result: "i32" },
});

const AF_UNIX = 1;
const SOCK_DGRAM = 2;

/**
 * A socket each write of which is one message to whoever is bound to `path`. It never blocks: EAGAIN when the receiver
 * is behind.
 *
 * @throws {ErrnoError} `connect /dev/log: ENOENT`
 */
export function connectDatagram(path: string): Fd {
  const address = unixAddress(path);
  using stack = new DisposableStack();
  const flags = SOCK_DGRAM | O_CLOEXEC | O_NONBLOCK;
  const socket = stack.use(new Fd(check("socket", () => libc.socket(AF_UNIX, flags, 0))));
  check("connect", () => libc.connect(socket.number, address, address.length), path);
  stack.move();
  return socket;
}
