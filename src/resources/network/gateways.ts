/**
 * Hardware addresses of a pod's gateways, which the host's kernel finds out for the guest while it still gets the answers.
 *
 * @module
 */
import { isErrno } from "../../linux/ffi/errno.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { readableWithin } from "../../linux/io/poll.ts";
import { NETLINK, openNetlink, RTMGRP } from "../../linux/net/netlink_socket.ts";
import type { Link, Rtnetlink } from "../../linux/net/rtnetlink.ts";
import { enterNetns } from "../../linux/process/namespace.ts";
import { type Gateway, gatewaysOf, isNeighbor, type NetnsContent } from "./scan.ts";

/** The kernel resolves an address that is "used", as if a packet were sent there (`NTF_USE`). */
const NTF_USE = 1;
const NUD_NONE = 0;
/** Bytes read of a notice: it only says that the table changed, so its rest may be cut off. */
const NOTICE_SIZE = 64;
/** A gateway that answers does so in far less. The guest finds the others out itself. */
const GATEWAY_MS = 200;
const ASK_AGAIN_MS = 20;

/** A pod's network namespace, and a conversation with it. */
export interface Netns {
  netns: Fd;
  netlink: Rtnetlink;
}

/**
 * Fresh namespaces know no neighbours (B47). On the same host the answer is there at once, unless the kernel is so busy
 * that it puts it off, or drops the question because it has yet to notice that the link is up.
 *
 * @returns Whether it has asked.
 */
export function resolveGateways(links: readonly Link[], content: NetnsContent, { netns, netlink }: Netns): boolean {
  const gateways = links.flatMap(({ index }) =>
    gatewaysOf(content, index).map((address) => ({ link: index, address }))
  );
  if (gateways.every((gateway) => isNeighbor(content.neighbors, gateway))) return false;
  using changes = watchNeighbors(netns);
  const end = performance.now() + GATEWAY_MS;
  for (let unknown; (unknown = unknownOf(gateways, netlink)).length > 0 && performance.now() < end;) {
    for (const gateway of unknown) askFor(gateway, netlink);
    const again = performance.now() + ASK_AGAIN_MS;
    for (let left: number; unknownOf(unknown, netlink).length > 0 && (left = again - performance.now()) > 0;) {
      if (readableWithin(changes, left)) changes.read(new Uint8Array(NOTICE_SIZE));
    }
  }
  return true;
}

function unknownOf(gateways: readonly Gateway[], netlink: Rtnetlink): readonly Gateway[] {
  const neighbors = netlink.neighbors();
  return gateways.filter((gateway) => !isNeighbor(neighbors, gateway));
}

/** An entry that waits for an answer is asked about again only after a second; a new one at once. */
function askFor(gateway: Gateway, netlink: Rtnetlink): void {
  try {
    netlink.deleteNeighbor(gateway);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
  netlink.replaceNeighbor({ ...gateway, state: NUD_NONE, flags: NTF_USE });
}

function watchNeighbors(netns: Fd): Fd {
  using _ = enterNetns(netns);
  return openNetlink(NETLINK.ROUTE, RTMGRP.NEIGH);
}
