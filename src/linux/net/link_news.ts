/** News of the links of one network namespace. @module */
import { isErrno } from "../ffi/errno.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import type { Fd } from "../io/fd.ts";
import { decodeMessages, viewOf } from "./netlink.ts";
import { NETLINK, openNetlink, RTMGRP } from "./netlink_socket.ts";

const RTM_NEWLINK = 16;
const RTM_NEWADDR = 20;
/** Longest datagram of the kernel. */
const RECEIVE_SIZE = 64 * 1024;
/** Index of the link, in `struct ifinfomsg` and in `struct ifaddrmsg`. */
const INDEX_AT = 4;

/** Hears of links that appear or change, and of addresses that they get, from its construction on. */
export class LinkNews implements Disposable {
  readonly #fd: Fd;

  /** Listens in the network namespace that this thread is in now. */
  constructor() {
    this.#fd = openNetlink(NETLINK.ROUTE, RTMGRP.LINK | RTMGRP.IPV4_IFADDR | RTMGRP.IPV6_IFADDR);
    this.#fd.setNonblocking();
  }

  /** Indexes of the links of which there is news since the last call; undefined if there was more than is kept. */
  take(): ReadonlySet<number> | undefined {
    const indexes = new Set<number>();
    let isComplete = true;
    const buffer = new Uint8Array(RECEIVE_SIZE);
    for (;;) {
      try {
        const length = this.#fd.read(buffer);
        for (const { type, payload } of decodeMessages(buffer.subarray(0, length))) {
          if (type !== RTM_NEWLINK && type !== RTM_NEWADDR) continue;
          indexes.add(viewOf(payload).getUint32(INDEX_AT, LITTLE_ENDIAN));
        }
      } catch (error) {
        if (isErrno(error, "EAGAIN")) return isComplete ? indexes : undefined;
        // Told once; what is still kept comes after.
        if (!isErrno(error, "ENOBUFS")) throw error;
        isComplete = false;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}
