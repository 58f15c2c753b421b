/**
 * A pod's network: the links that the engine put into the pod's network namespace, each joined to a tap of the VM, and
 * what the guest must be told to have the same addresses, routes and neighbours.
 *
 * @module
 */
import type { NetDevice } from "../../hypervisor/device.ts";
import type { Fd } from "../../linux/fd.ts";
import { enterNetns } from "../../linux/namespace.ts";
import { type Link, type LinkStatistics, Rtnetlink } from "../../linux/rtnetlink.ts";
import { type NetworkModel, pairWithTap } from "./pair.ts";
import { describeNetwork, gatewaysOf, guestLinks, type GuestNetwork, type NetnsContent } from "./scan.ts";

/** The kernel resolves an address that is "used", as if a packet were sent there (`NTF_USE`). */
const NTF_USE = 1;
const NUD_NONE = 0;

export interface PodNetworkOptions {
  /** Taken over. */
  netns: Fd;
  model: NetworkModel;
  /** Queue pairs of each card. */
  queues: number;
  /** Uses the kernel's virtio-net backend where the host has it. */
  vhost: boolean;
}

/** Links that were joined by one scan. */
export interface JoinedLinks {
  /** To be put into the VM. */
  cards: readonly NetDevice[];
  /** To be told to the agent once the cards are there. */
  guest: GuestNetwork;
}

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

  constructor(options: PodNetworkOptions) {
    this.#options = options;
    using undo = new DisposableStack();
    this.netns = undo.use(options.netns);
    using _ = enterNetns(this.netns);
    this.#netlink = undo.use(new Rtnetlink());
    this.#resources = undo.move();
  }

  /**
   * Joins the links that are not joined yet; interfaces may appear late (B49).
   *
   * @throws {KataError} UNIMPLEMENTED for a link that cannot be joined; none of this scan stays.
   */
  join(): JoinedLinks {
    const links = guestLinks(this.#content()).filter(({ index }) => !this.#joined.has(index));
    for (const link of links) this.#resolveGateways(link);
    // Read before the first redirect: afterwards all answers go to the guest.
    const content = this.#content();
    using undo = new DisposableStack();
    const cards = links.map((link, at) =>
      undo.use(pairWithTap(link, { ...this.#options, netlink: this.#netlink, number: this.#joined.size + at })).card
    );
    this.#resources.use(undo.move());
    for (const { index } of links) this.#joined.add(index);
    return { cards, guest: describeNetwork(content, links) };
  }

  /** What has passed the links that are joined, as the pod sees it; those that are gone count no more. */
  statistics(): ReadonlyMap<string, LinkStatistics> {
    const links = this.#netlink.links().filter(({ index }) => this.#joined.has(index));
    return new Map(links.map(({ name, statistics }) => [name, statistics]));
  }

  /** Fresh namespaces know no neighbours; on the same host the answer is there before this returns (B47). */
  #resolveGateways(link: Link): void {
    const known = new Set(this.#netlink.neighbors({ link: link.index }).map(({ address }) => address));
    for (const address of gatewaysOf({ routes: this.#netlink.routes({ link: link.index }) }, link.index)) {
      if (known.has(address)) continue;
      this.#netlink.replaceNeighbor({ link: link.index, address, state: NUD_NONE, flags: NTF_USE });
    }
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
