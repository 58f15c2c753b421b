/**
 * A netlink socket: requests and their answers, synchronously, because the kernel answers before the call is over.
 *
 * @see https://man7.org/linux/man-pages/man7/netlink.7.html
 * @module
 */
import { ERRNO, ErrnoError } from "../ffi/errno.ts";
import { Fd } from "../io/fd.ts";
import { bind, check } from "../ffi/libc.ts";
import { decodeAck, decodeMessages, encodeMessage, type NetlinkMessage, NLM_F, NLMSG, viewOf } from "./netlink.ts";

const libc = bind({
  socket: { parameters: ["i32", /* domain */ "i32", /* type */ "i32" /* protocol */], result: "i32" },
  bind: { parameters: ["i32", /* fd */ "buffer", /* struct sockaddr_nl */ "u32" /* length */], result: "i32" },
  setsockopt: {
    parameters: ["i32", /* fd */ "i32", /* level */ "i32", /* name */ "buffer", "u32" /* length */],
    result: "i32",
  },
  send: { parameters: ["i32", /* fd */ "buffer", "usize", /* length */ "i32" /* flags */], result: "isize" },
  recv: { parameters: ["i32", /* fd */ "buffer", "usize", /* length */ "i32" /* flags */], result: "isize" },
});

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
/** `struct timeval` of the machine's word size: both architectures have 64 bits. */
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const MSG_TRUNC = 0x20;

/** Netlink families. */
export const NETLINK = { ROUTE: 0, KOBJECT_UEVENT: 15 } as const;

/** Groups of the family `ROUTE` that hear of changes: of links, neighbours, addresses and routes. */
export const RTMGRP = {
  LINK: 0x1,
  NEIGH: 0x4,
  IPV4_IFADDR: 0x10,
  IPV4_ROUTE: 0x40,
  IPV6_IFADDR: 0x100,
  IPV6_ROUTE: 0x400,
} as const;

/**
 * Opens a socket of a netlink family in the network namespace that this thread is in now.
 *
 * @param groups Bits of the multicast groups to listen to.
 */
export function openNetlink(family: number, groups = 0): Fd {
  using undo = new DisposableStack();
  const fd = undo.use(new Fd(check("socket", () => libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family))));
  // struct sockaddr_nl: u16 family, u16 pad, u32 port id (0: the kernel chooses), u32 groups.
  const address = Uint32Array.of(AF_NETLINK, 0, groups);
  check("bind", () => libc.bind(fd.number, address, address.byteLength), `netlink family ${family}`);
  undo.move();
  return fd;
}

/** A request to the kernel. */
export interface NetlinkRequest {
  /** For the error, as a system call has it: `RTM_NEWLINK`. */
  name: string;
  /** Subject of the request, for the error. */
  detail?: string;
  type: number;
  /** `NLM_F.*` besides `REQUEST` and `ACK`. */
  flags?: number;
  payload: Uint8Array;
}

/** Longest answer in one datagram; the kernel fills a dump's datagrams to 32 KiB at most. */
const RECEIVE_SIZE = 64 * 1024;
const ANSWER_TIMEOUT_S = 5n;

/** One conversation with one netlink family. */
export class NetlinkSocket implements Disposable {
  readonly #fd: Fd;
  readonly #buffer = new Uint8Array(RECEIVE_SIZE);
  #sequence = 0;

  /** @param family One of {@linkcode NETLINK}. */
  constructor(family: number) {
    this.#fd = openNetlink(family);
    const on = Int32Array.of(1);
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
      this.#setOption(SOL_NETLINK, { option, value: on });
    }
    // A lost answer must not stop the whole program.
    this.#setOption(SOL_SOCKET, { option: SO_RCVTIMEO, value: BigInt64Array.of(ANSWER_TIMEOUT_S, 0n) });
  }

  #setOption(
    level: number,
    { option, value }: { option: number; value: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer> },
  ) {
    check("setsockopt", () => libc.setsockopt(this.#fd.number, level, option, value, value.byteLength));
  }

  /**
   * Asks and returns the kernel's answers without the acknowledgement.
   *
   * @throws {ErrnoError} The kernel refused; the message holds its own explanation if it gave one.
   */
  request(request: NetlinkRequest): NetlinkMessage[] {
    this.#send(request, (request.flags ?? 0) | NLM_F.ACK);
    return this.#receive(request).answers;
  }

  /** Asks for all objects of a kind, and again while they change under the kernel's hands. */
  dump(request: NetlinkRequest): NetlinkMessage[] {
    for (let attempt = 0; attempt < 10; attempt++) {
      this.#send(request, (request.flags ?? 0) | NLM_F.DUMP);
      const { answers, interrupted } = this.#receive(request);
      if (!interrupted) return answers;
    }
    throw new Error(`Cannot get a consistent answer to "${request.name}"`);
  }

  #send({ name, type, payload }: NetlinkRequest, flags: number): void {
    this.#sequence++;
    const bytes = encodeMessage({ type, flags: flags | NLM_F.REQUEST, sequence: this.#sequence, portId: 0, payload });
    check("send", () => libc.send(this.#fd.number, bytes, bytes.length, 0), name);
  }

  /** Reads up to the acknowledgement, or the end of a dump. */
  #receive(request: NetlinkRequest): { answers: NetlinkMessage[]; interrupted: boolean } {
    const answers: NetlinkMessage[] = [];
    let interrupted = false;
    for (;;) {
      for (const message of decodeMessages(this.#receiveDatagram(request.name))) {
        // An answer to an earlier request that was given up.
        if (message.sequence !== this.#sequence) continue;
        interrupted ||= (message.flags & NLM_F.DUMP_INTR) !== 0;
        if (message.type === NLMSG.NOOP) continue;
        if (message.type === NLMSG.OVERRUN) throw new ErrnoError(request.name, ERRNO.ENOBUFS, request.detail);
        if (message.type !== NLMSG.ERROR && message.type !== NLMSG.DONE) {
          answers.push(message);
          continue;
        }
        refuse(request, message);
        return { answers, interrupted };
      }
    }
  }

  #receiveDatagram(name: string): Uint8Array {
    const length = check("recv", () => libc.recv(this.#fd.number, this.#buffer, RECEIVE_SIZE, MSG_TRUNC), name);
    if (length > RECEIVE_SIZE) throw new RangeError(`Cannot receive the answer to "${name}": ${length} bytes`);
    // A copy: the answers outlive the buffer.
    return this.#buffer.slice(0, length);
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

/** Throws what an acknowledgement or the end of a dump says, if that is an error. */
function refuse({ name, detail }: NetlinkRequest, message: NetlinkMessage): void {
  // The end of a dump holds the errno only if something went wrong on the way.
  if (message.type === NLMSG.DONE && viewOf(message.payload).byteLength < 4) return;
  const { errno, text } = decodeAck(message);
  if (errno === 0) return;
  const words = [detail, text === undefined ? undefined : `(${text})`].filter((word) => word !== undefined);
  throw new ErrnoError(name, errno, words.length === 0 ? undefined : words.join(" "));
}
