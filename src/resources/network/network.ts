/**
 * A pod's network: the links that the engine put into the pod's network namespace, each joined to a tap of the VM, and
 * what the guest must be told to have the same addresses, routes and neighbours. Both change while the pod runs.
 *
 * @module
 */
import { errorChain } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import type { NetDevice } from "../../hypervisor/device.ts";
import type { Fd } from "../../linux/io/fd.ts";
import type { WaitOptions } from "../../linux/io/poll.ts";
import { enterNetns } from "../../linux/process/namespace.ts";
import { LinkNews } from "../../linux/net/link_news.ts";
import { type Link, type LinkStatistics, Rtnetlink } from "../../linux/net/rtnetlink.ts";
import { changesOf, isNothing, type NetworkChanges, NOTHING_TOLD, tell, type Told } from "./changes.ts";
import { resolveGateways } from "./gateways.ts";
import { refuseLost } from "./lost.ts";
import { type NetworkModel, type Pair, pairWithTap, refuseFiltered } from "./pair.ts";
import { guestLinks, type NetnsContent, refuseOthersTap, refuseStrange } from "./scan.ts";

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

/** Findings of one scan. */
export interface JoinedLinks extends NetworkChanges {
  /** To be put into the VM before the guest is told. */
  cards: readonly NetDevice[];
  /** Cards whose links have gone, to be taken out before all else; found by each scan until they are released. */
  gone: readonly Pick<NetDevice, "id" | "mac">[];
}

/** Of a scan that has found nothing new. */
export const NOTHING_JOINED: JoinedLinks = { cards: [], gone: [], ...changesOf(NOTHING_TOLD, NOTHING_TOLD) };

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
  /** By the index of the link. */
  readonly #pairs = new Map<number, Pair>();
  /** Pairs whose links have gone, by the id of the card. */
  readonly #gone = new Map<string, Pair>();
  /** Indexes of our own taps, of all times. */
  readonly #taps = new Set<number>();
  /** Indexes of links that could not be joined; tried again once there is news of them, or a card has been released. */
  readonly #refused = new Set<number>();
  readonly #news: LinkNews;
  #told: Told = NOTHING_TOLD;
  #made = 0;
  /** There may be something that was not looked at. */
  #isStale = true;

  constructor(options: PodNetworkOptions) {
    this.#options = options;
    using undo = new DisposableStack();
    this.netns = undo.use(options.netns);
    using _ = enterNetns(this.netns);
    this.#netlink = undo.use(new Rtnetlink());
    this.#news = undo.use(new LinkNews());
    undo.defer(() => this.#dropAll());
    this.#resources = undo.move();
  }

  /** Waits until the kernel tells of something in the namespace, which may be nothing of interest. */
  async changed(options: WaitOptions): Promise<void> {
    await this.#news.next(options);
  }

  /**
   * Joins the links that are not joined yet; interfaces may appear late (B49). Reads the namespace only if the kernel has
   * told of something in it since the last time.
   *
   * @throws {KataError} UNIMPLEMENTED for what the guest cannot be given, such as a link that cannot be joined,
   * FAILED_PRECONDITION where another machine has joined links; none of this scan stays.
   */
  join(): JoinedLinks {
    this.#isStale ||= this.#refused.size > 0;
    this.#refused.clear();
    return this.#join((_what, check) => {
      check();
      return true;
    });
  }

  /** As {@linkcode PodNetwork.join} while the pod runs: leaves out what the guest cannot be given, with a line in the log. */
  follow(): JoinedLinks {
    return this.#join((what, check) => {
      try {
        check();
        return true;
      } catch (error) {
        if (what !== "all") this.#refused.add(what.index);
        this.#options.log?.warning("Cannot follow a pod's network", { reason: errorChain(error) });
        return false;
      }
    });
  }

  /** @param isFit Whether a link, or all of a namespace, passes a check. */
  #join(isFit: (what: Link | "all", check: () => void) => boolean): JoinedLinks {
    this.#takeNews();
    if (!this.#isStale) return NOTHING_JOINED;
    const content = this.#content();
    refuseOthersTap(content.links, this.#taps);
    this.#partGone(content.links);
    const links = guestLinks(content).filter(({ index }) => !this.#pairs.has(index) && !this.#refused.has(index));
    const fit = links.filter((link) => isFit(link, () => this.#refuseUnjoinable(link)));
    isFit("all", () => refuseLost(content, new Set([...this.#pairs.keys(), ...fit.map(({ index }) => index)])));
    using undo = new DisposableStack();
    const cards = this.#pairAll(fit, content);
    for (const { id } of cards.all) undo.defer(() => this.release(id));
    // What is read before the first redirect is all that the host will learn: afterwards all answers go to the guest.
    const told = tell(cards.content, cards.content.links.filter(({ index }) => this.#pairs.has(index)));
    const changes = changesOf(this.#told, told);
    this.#told = told;
    this.#isStale = false;
    undo.move();
    const gone = [...this.#gone.values()].map(({ card: { id, mac } }) => ({ id, mac }));
    const isSame = isNothing(changes) && cards.all.length === 0 && gone.length === 0;
    return isSame ? NOTHING_JOINED : { cards: cards.all, gone, ...changes };
  }

  #refuseUnjoinable(link: Link): void {
    refuseStrange(link);
    refuseFiltered(link, { ...this.#options, netlink: this.#netlink });
  }

  /**
   * Gives up a card, which no VM uses any more: its link has gone, or it could not be put in. A link that could not be
   * joined is tried again after the former.
   */
  release(id: string): void {
    for (const [index, pair] of this.#pairs) {
      if (pair.card.id !== id) continue;
      this.#pairs.delete(index);
      this.#refused.add(index);
      using _ = pair;
      return;
    }
    using _ = this.#gone.get(id);
    this.#gone.delete(id);
    this.#isStale ||= this.#refused.size > 0;
    this.#refused.clear();
  }

  /** The guest may not have got what it was told: the next scan tells it all. */
  tellAgain(): void {
    this.#told = NOTHING_TOLD;
    this.#isStale = true;
  }

  #takeNews(): void {
    const news = this.#news.take();
    if (news === undefined) this.#refused.clear();
    for (const index of news ?? []) this.#refused.delete(index);
    this.#isStale ||= news === undefined || [...news].some((index) => !this.#taps.has(index));
  }

  #pairAll(links: readonly Link[], before: NetnsContent): { all: NetDevice[]; content: NetnsContent } {
    if (links.length === 0) return { all: [], content: before };
    const content = resolveGateways(links, before, { netns: this.netns, netlink: this.#netlink })
      ? this.#content()
      : before;
    using undo = new DisposableStack();
    const pairs = links.map((link) =>
      undo.use(pairWithTap(link, { ...this.#options, netlink: this.#netlink, number: this.#made++ }))
    );
    undo.move();
    for (const [at, { index }] of links.entries()) this.#pairs.set(index, pairs[at]!);
    for (const { tap } of pairs) this.#taps.add(tap);
    return { all: pairs.map(({ card }) => card), content };
  }

  /** Sets the pairs of links aside that are there no longer. */
  #partGone(links: readonly Link[]): void {
    const there = new Set(links.map(({ index }) => index));
    const gone = [...this.#pairs].filter(([index]) => !there.has(index));
    for (const [index, pair] of gone) {
      this.#pairs.delete(index);
      this.#gone.set(pair.card.id, pair);
    }
  }

  /** Traffic of the joined links, as the pod sees it; links that are gone count no more. */
  statistics(): ReadonlyMap<string, LinkStatistics> {
    const links = this.#netlink.links().filter(({ index }) => this.#pairs.has(index));
    return new Map(links.map(({ name, statistics }) => [name, statistics]));
  }

  #content(): NetnsContent {
    const netlink = this.#netlink;
    return {
      links: netlink.links(),
      addresses: netlink.addresses(),
      routes: netlink.routes(),
      neighbors: netlink.neighbors(),
      rules: (["inet", "inet6"] as const).flatMap((family) => netlink.rules(family)),
    };
  }

  #dropAll(): void {
    using all = new DisposableStack();
    for (const pair of [...this.#pairs.values(), ...this.#gone.values()]) all.use(pair);
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}
