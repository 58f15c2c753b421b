/**
 * A pod's network: the links that the engine put into the pod's network namespace, each joined to a tap of the VM, and
 * what the guest must be told to have the same addresses, routes and neighbours.
 *
 * @module
 */
import type { GuestNetwork } from "../../agent_api/network.ts";
import type { Logger } from "../../base/log.ts";
import type { NetDevice } from "../../hypervisor/device.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { enterNetns } from "../../linux/process/namespace.ts";
import { NETLINK, openNetlink, RTMGRP } from "../../linux/net/netlink_socket.ts";
import { readableWithin } from "../../linux/io/poll.ts";
import { LinkNews } from "../../linux/net/link_news.ts";
import { type Link, type LinkStatistics, Rtnetlink } from "../../linux/net/rtnetlink.ts";
import { lostOf } from "./lost.ts";
import { type NetworkModel, pairWithTap } from "./pair.ts";
import {
  describeNetwork,
  type Gateway,
  gatewaysOf,
  guestLinks,
  isNeighbor,
  type NetnsContent,
  refuseOthersTap,
} from "./scan.ts";

/** The kernel resolves an address that is "used", as if a packet were sent there (`NTF_USE`). */
const NTF_USE = 1;
const NUD_NONE = 0;
/** Bytes read of a notice: it only says that the table changed, so its rest may be cut off. */
const NOTICE_SIZE = 64;
/** A gateway that answers does so in far less. The guest finds the others out itself. */
const GATEWAY_MS = 200;
const ASK_AGAIN_MS = 20;

export interface PodNetworkOptions {
  /** Taken over. */
  netns: Fd;
  model: NetworkModel;
  /** Queue pairs of each card. */
  queues: number;
  /** Uses the kernel's virtio-net backend where the host has it. */
  vhost: boolean;
  log?: Logger;
}

/** Links that were joined by one scan. */
export interface JoinedLinks {
  /** To be put into the VM. */
  cards: readonly NetDevice[];
  /** To be told to the agent once the cards are there. */
  guest: GuestNetwork;
}

/** Of a scan that has found no new link. */
export const NOTHING_JOINED: JoinedLinks = { cards: [], guest: { interfaces: [], routes: [], neighbors: [] } };

/**
 * Disposing it takes away what it put into the namespace, also if that was deleted meanwhile: the descriptor keeps it.
 * Do so after the VM, which uses the taps.
 */
export class PodNetwork implements Disposable {
  /** For the VMM, which runs in it: hooks find the namespace by the VMM's process. */
  readonly netns: Fd;
  readonly #options: PodNetworkOptions;
  readonly #netlink: Rtnetlink;
  readonly #resources: DisposableStack;
  readonly #joined = new Set<number>();
  /** Indexes of our own taps. */
  readonly #taps = new Set<number>();
  readonly #news: LinkNews;
  /** There may be links that were not looked at. */
  #isStale = true;

  constructor(options: PodNetworkOptions) {
    this.#options = options;
    using undo = new DisposableStack();
    this.netns = undo.use(options.netns);
    using _ = enterNetns(this.netns);
    this.#netlink = undo.use(new Rtnetlink());
    this.#news = undo.use(new LinkNews());
    this.#resources = undo.move();
  }

  /**
   * Joins the links that are not joined yet; interfaces may appear late (B49). Reads the namespace only if the kernel has
   * told of a link that is not joined since the last time.
   *
   * @throws {KataError} UNIMPLEMENTED for a link that cannot be joined, FAILED_PRECONDITION where another machine has joined
   * links; none of this scan stays.
   */
  join(): JoinedLinks {
    this.#isStale ||= this.#hasNews();
    if (!this.#isStale) return NOTHING_JOINED;
    const content = this.#content();
    if (this.#joined.size === 0) refuseOthersTap(content.links);
    const links = guestLinks(content).filter(({ index }) => !this.#joined.has(index));
    const joined = links.length === 0 ? NOTHING_JOINED : this.#joinAll(links, content);
    this.#isStale = false;
    return joined;
  }

  #hasNews(): boolean {
    const news = this.#news.take();
    return news === undefined || [...news].some((index) => !this.#joined.has(index) && !this.#taps.has(index));
  }

  #joinAll(links: readonly Link[], before: NetnsContent): JoinedLinks {
    // Read before the first redirect: afterwards all answers go to the guest.
    const content = this.#resolveGateways(links, before) ? this.#content() : before;
    using undo = new DisposableStack();
    const pairs = links.map((link, at) =>
      undo.use(pairWithTap(link, { ...this.#options, netlink: this.#netlink, number: this.#joined.size + at }))
    );
    this.#resources.use(undo.move());
    for (const { index } of links) this.#joined.add(index);
    for (const { tap } of pairs) this.#taps.add(tap);
    this.#tellLost(content);
    return { cards: pairs.map(({ card }) => card), guest: describeNetwork(content, links) };
  }

  #tellLost({ links, routes }: NetnsContent): void {
    const { log } = this.#options;
    const rules = (["inet", "inet6"] as const).flatMap((family) => this.#netlink.rules(family));
    const lost = lostOf({ links: links.filter(({ index }) => this.#joined.has(index)), routes, rules });
    if (lost.length > 0) log?.warning("Cannot give the guest all of a pod's network", { lost });
  }

  /** Traffic of the joined links, as the pod sees it; links that are gone count no more. */
  statistics(): ReadonlyMap<string, LinkStatistics> {
    const links = this.#netlink.links().filter(({ index }) => this.#joined.has(index));
    return new Map(links.map(({ name, statistics }) => [name, statistics]));
  }

  /**
   * Fresh namespaces know no neighbours (B47). On the same host the answer is there at once, unless the kernel is so busy
   * that it puts it off, or drops the question because it has yet to notice that the link is up.
   *
   * @returns Whether it has asked.
   */
  #resolveGateways(links: readonly Link[], content: NetnsContent): boolean {
    const gateways = links.flatMap(({ index }) =>
      gatewaysOf(content, index).map((address) => ({ link: index, address }))
    );
    if (gateways.every((gateway) => isNeighbor(content.neighbors, gateway))) return false;
    using changes = this.#watchNeighbors();
    const end = performance.now() + GATEWAY_MS;
    for (let unknown; (unknown = this.#unknown(gateways)).length > 0 && performance.now() < end;) {
      for (const gateway of unknown) this.#askFor(gateway);
      const again = performance.now() + ASK_AGAIN_MS;
      for (let left: number; this.#unknown(unknown).length > 0 && (left = again - performance.now()) > 0;) {
        if (readableWithin(changes, left)) changes.read(new Uint8Array(NOTICE_SIZE));
      }
    }
    return true;
  }

  #unknown(gateways: readonly Gateway[]): readonly Gateway[] {
    const neighbors = this.#netlink.neighbors();
    return gateways.filter((gateway) => !isNeighbor(neighbors, gateway));
  }

  /** An entry that waits for an answer is asked about again only after a second; a new one at once. */
  #askFor(gateway: Gateway): void {
    try {
      this.#netlink.deleteNeighbor(gateway);
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
    }
    this.#netlink.replaceNeighbor({ ...gateway, state: NUD_NONE, flags: NTF_USE });
  }

  #watchNeighbors(): Fd {
    using _ = enterNetns(this.netns);
    return openNetlink(NETLINK.ROUTE, RTMGRP.NEIGH);
  }

  #content(): NetnsContent {
    const netlink = this.#netlink;
    return {
      links: netlink.links(),
      addresses: netlink.addresses(),
      routes: netlink.routes(),
      neighbors: netlink.neighbors(),
    };
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}
