/**
 * Changes of a pod's network after the machine's start: cards go in and out as the engine puts links into the pod's network
 * namespace and takes them away, and the guest is told of addresses and routes.
 *
 * @module
 */
import type { NetworkLeftovers } from "../../agent_api/network.ts";
import { Mutex } from "../../base/async.ts";
import { systemClock } from "../../base/clock.ts";
import { errorCode } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import { descriptorsOf, type NetDevice } from "../../hypervisor/device.ts";
import { facetOf } from "../../hypervisor/facets.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import { type JoinedLinks, NOTHING_JOINED, type PodNetwork } from "../../resources/network/network.ts";
import type { AgentConnection } from "../agent/client.ts";
import { NameForward } from "../agent/name_forward.ts";
import type { SandboxParts } from "../parts.ts";
import { setUpGuestNetwork } from "../agent/guest_setup.ts";
import { locatedCards } from "../agent/located_cards.ts";
import type { ResolvConf } from "../agent/resolv_conf.ts";

/** An engine does several things to a link, one right after the other. */
const SETTLE_MS = 100;
/** A failure that nothing else ends may have passed by then. */
const AGAIN_MS = 10_000;

export interface LateNetworkOptions {
  network: Pick<PodNetwork, "changed" | "follow" | "join" | "release" | "tellAgain">;
  vm: Pick<Hypervisor, "name" | "hotplug" | "guestAddress">;
  agent: Pick<AgentConnection, "network">;
  log: Logger;
  /** Ends with the sandbox. */
  signal: AbortSignal;
  /** Called once changes are carried out. Never rejects. */
  afterwards: () => Promise<void>;
}

/** Parts of a sandbox that following needs. */
export interface FollowedParts {
  host: { network: (LateNetworkOptions["network"] & Pick<PodNetwork, "netns">) | undefined };
  vm: LateNetworkOptions["vm"];
  abort: Pick<SandboxParts["abort"], "signal">;
  owner: Pick<SandboxParts["owner"], "use">;
}

/**
 * Follows the network of a sandbox that has one, until the sandbox ends; also answers its name queries.
 *
 * @param options.resolvConf Of the container that the sandbox is made for.
 */
export async function followNetwork(
  { host: { network }, vm, abort: { signal }, owner }: FollowedParts,
  agent: Pick<AgentConnection, "network" | "resolver">,
  { resolvConf, log }: { resolvConf: Pick<ResolvConf, "nameServers">; log: Logger },
): Promise<LateNetwork | undefined> {
  if (network === undefined) return undefined;
  const names = owner.use(new NameForward({ netns: network.netns, agent, log }));
  // Docker changes the file when a container comes to a network with a server of its own.
  const afterwards = async () => {
    try {
      await names.serve(resolvConf.nameServers());
    } catch (error) {
      log.warning("Cannot read which name servers the containers have", { error });
    }
  };
  await afterwards();
  const late = new LateNetwork({ network, vm, agent, log, signal, afterwards });
  void late.follow();
  return late;
}

/** Carries out changes, one after the other. */
export class LateNetwork {
  readonly #options: LateNetworkOptions;
  readonly #turn = new Mutex();

  constructor(options: LateNetworkOptions) {
    this.#options = options;
  }

  /** Carries out what has changed by now. @throws {Error} The first thing that could not be done. */
  async join(): Promise<void> {
    using _turn = await this.#turn.lock();
    await this.#carryOut(this.#options.network.join());
  }

  /**
   * Follows the changes until the sandbox ends. What fails is told by the log, and tried again once something else changes,
   * or after a while.
   */
  async follow(): Promise<void> {
    const { log, signal } = this.#options;
    for (let again = false; !signal.aborted;) {
      try {
        await this.#next(again);
        again = false;
        await this.#followOnce();
      } catch (error) {
        if (signal.aborted) return;
        log.warning("Cannot follow a change of the pod's network", { error });
        again = true;
      }
    }
  }

  /** Waits for news, or for the time to try again. */
  async #next(again: boolean): Promise<void> {
    const { network, signal } = this.#options;
    if (!again) return await network.changed({ signal });
    const over = AbortSignal.timeout(AGAIN_MS);
    await network.changed({ signal: AbortSignal.any([signal, over]) }).catch((error) => {
      if (!over.aborted) throw error;
    });
  }

  async #followOnce(): Promise<void> {
    const { network, signal } = this.#options;
    await systemClock.sleep(SETTLE_MS, signal);
    using _turn = await this.#turn.lock();
    await this.#carryOut(network.follow());
  }

  async #carryOut(found: JoinedLinks): Promise<void> {
    if (found === NOTHING_JOINED) return;
    const { network, agent, vm, afterwards } = this.#options;
    const { cards, gone, guest, leftovers } = found;
    using queues = new DisposableStack();
    for (const fd of cards.flatMap(descriptorsOf)) queues.use(fd); // of cards that are not plugged
    try {
      for (const card of gone) await this.#takeOut(card);
      await this.#putIn(cards);
      await setUpGuestNetwork(agent, locatedCards({ cards, guest }, vm));
      if (isAny(leftovers)) await agent.network.remove(leftovers);
    } catch (error) {
      network.tellAgain();
      throw error;
    }
    await afterwards();
  }

  /** Cards that are not in at the end are given up: the next scan makes others for their links. */
  async #putIn(cards: readonly NetDevice[]): Promise<void> {
    const { vm, network } = this.#options;
    for (const [at, card] of cards.entries()) {
      using undo = new DisposableStack();
      for (const { id } of cards.slice(at).toReversed()) undo.defer(() => network.release(id));
      await facetOf(vm, "hotplug", `plug network card "${card.id}"`).plug(card);
      undo.move();
    }
  }

  /**
   * A card of the start has no port that it could leave by: the guest lets go of it, and it stays behind unused. What fails
   * is told by the log and keeps nothing else from being done; an agent that is Kata's own removes no cards.
   */
  async #takeOut({ id, mac }: JoinedLinks["gone"][number]): Promise<void> {
    const { vm, network, agent, log } = this.#options;
    try {
      await facetOf(vm, "hotplug", `unplug network card "${id}"`).unplug(id);
    } catch (error) {
      if (errorCode(error) !== "NOT_FOUND" && errorCode(error) !== "UNIMPLEMENTED") {
        log.warning("Cannot take a network card out of the VM", { card: id, error });
      }
      await agent.network.remove({ cards: [mac], interfaces: [], routes: [], rules: [] }).catch((error) =>
        log.warning("Cannot have the guest let go of a network card", { card: id, error })
      );
    }
    try {
      network.release(id);
    } catch (error) {
      log.warning("Cannot release a network card", { card: id, error });
    }
  }
}

function isAny(leftovers: NetworkLeftovers): boolean {
  return Object.values(leftovers).some(({ length }) => length > 0);
}
