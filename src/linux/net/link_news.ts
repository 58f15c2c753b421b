/** News of the links of one network namespace, of their addresses and routes. @module */
import { isErrno } from "../ffi/errno.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import type { Fd } from "../io/fd.ts";
import { readable, type WaitOptions } from "../io/poll.ts";
import { decodeMessages, viewOf } from "./netlink.ts";
import { NETLINK, openNetlink, RTMGRP } from "./netlink_socket.ts";

/** Messages about links and addresses; those about routes, which have no link at a fixed place. */
const OF_A_LINK: readonly number[] = [16, 17, 20, 21]; // RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR
const OF_A_ROUTE: readonly number[] = [24, 25]; // RTM_NEWROUTE, RTM_DELROUTE
const GROUPS = RTMGRP.LINK | RTMGRP.IPV4_IFADDR | RTMGRP.IPV6_IFADDR | RTMGRP.IPV4_ROUTE | RTMGRP.IPV6_ROUTE;
/** Longest datagram of the kernel. */
const RECEIVE_SIZE = 64 * 1024;
/** Index of the link, in `struct ifinfomsg` and in `struct ifaddrmsg`. */
const INDEX_AT = 4;

/** No link's index; stands for news of a route. */
export const SOME_ROUTE = 0;

/** Hears of links, addresses and routes that come, change or go, from its construction on. */
export class LinkNews implements Disposable {
  readonly #fd: Fd;

  /** Listens in the network namespace that this thread is in now. */
  constructor() {
    this.#fd = openNetlink(NETLINK.ROUTE, GROUPS);
    this.#fd.setNonblocking();
  }

  /** Waits for news. */
  async next(options: WaitOptions): Promise<void> {
    await readable(this.#fd, options);
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
          if (OF_A_LINK.includes(type)) indexes.add(viewOf(payload).getUint32(INDEX_AT, LITTLE_ENDIAN));
          else if (OF_A_ROUTE.includes(type)) indexes.add(SOME_ROUTE);
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
