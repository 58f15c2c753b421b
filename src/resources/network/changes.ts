/** Compares a pod's network with what its guest was told before. Pure. @module */
import type {
  GuestAddress,
  GuestInterface,
  GuestNetwork,
  GuestRoute,
  NetworkLeftovers,
} from "../../agent_api/network.ts";
import type { Link } from "../../linux/net/rtnetlink.ts";
import { IFF_NOARP } from "../../linux/net/rtnetlink_link.ts";
import { ROUTE_PROTOCOL } from "../../linux/net/rtnetlink_route.ts";
import { describeNetwork, type NetnsContent } from "./scan.ts";

/** A pod's network as its guest is told of it. */
export interface Told {
  /** Interfaces by the index of their link on the host. */
  interfaces: ReadonlyMap<number, GuestInterface>;
  all: GuestNetwork;
  /** Part of it that ends only if somebody ends it: the rest has a time to live, which the guest's own kernel prolongs. */
  lasting: GuestNetwork;
}

const NO_NETWORK: GuestNetwork = { interfaces: [], routes: [], neighbors: [], rules: [] };

/** Before anything was told. */
export const NOTHING_TOLD: Told = { interfaces: new Map(), all: NO_NETWORK, lasting: NO_NETWORK };

export interface NetworkChanges {
  /** To be set in the guest. */
  guest: GuestNetwork;
  /** To be taken away afterwards. */
  leftovers: NetworkLeftovers;
}

/** @param links Of the guest. */
export function tell(content: NetnsContent, links: readonly Link[]): Told {
  const all = describeNetwork(content, links);
  const lasting = describeNetwork({
    ...content,
    addresses: content.addresses.filter(({ flags }) => flags.has("permanent")),
    routes: content.routes.filter(({ protocol }) => protocol !== ROUTE_PROTOCOL.ra),
  }, links);
  return { interfaces: new Map(links.map(({ index }, at) => [index, all.interfaces[at]!])), all, lasting };
}

/**
 * A route over several links is told whole; of a link that has changed, all of its routes are told again, as a link that
 * gets another name loses them.
 */
export function changesOf(before: Told, after: Told): NetworkChanges {
  const interfaces = [...after.interfaces].flatMap(([index, now]) =>
    isSame(interfaceKey(now), interfaceKey(before.interfaces.get(index))) ? [] : [now]
  );
  const changed = new Set(interfaces.map(({ name }) => name));
  const known = new Set(before.all.routes.map(key));
  const places = new Set(
    after.all.routes.filter((route) => changed.has(route.device) || !known.has(key(route))).map(placeOf),
  );
  const neighbors = new Set(before.all.neighbors.map(key));
  const rules = new Set(before.all.rules.map(key));
  return {
    guest: {
      interfaces,
      routes: after.all.routes.filter((route) => places.has(placeOf(route))),
      neighbors: after.all.neighbors.filter((one) => changed.has(one.device) || !neighbors.has(key(one))),
      rules: after.all.rules.filter((one) => !rules.has(key(one))),
    },
    leftovers: leftoversOf(before, after),
  };
}

/** Cards are not compared: the caller knows which links have gone. */
function leftoversOf(before: Told, after: Told): NetworkLeftovers {
  const lasting = new Map(before.lasting.interfaces.map(({ mac, addresses }) => [mac, addresses]));
  const addresses = [...after.interfaces].flatMap(([index, now]) => {
    // An address of which something else has changed is the same one: who takes the old one away takes it.
    const has = new Set(now.addresses.map(addressKey));
    const old = lasting.get(before.interfaces.get(index)?.mac) ?? [];
    const gone = old.filter((address) => !has.has(addressKey(address)));
    return gone.length === 0 ? [] : [{ ...now, addresses: gone }];
  });
  const devices = new Set(["", ...after.all.interfaces.map(({ name }) => name)]);
  // A new route to the same place has taken that of the old one.
  const places = new Set(after.all.routes.map(placeOf));
  const routes = before.lasting.routes.filter((route) => devices.has(route.device) && !places.has(placeOf(route)));
  const rules = new Set(after.all.rules.map(key));
  return {
    cards: [],
    interfaces: addresses,
    routes,
    rules: before.lasting.rules.filter((one) => !rules.has(key(one))),
  };
}

/** Whether anything is to be done. */
export function isNothing({ guest, leftovers }: NetworkChanges): boolean {
  return [...Object.values(guest), ...Object.values(leftovers)].every(({ length }) => length === 0);
}

/** The other flags tell the state of the link in the host. */
function interfaceKey(link: GuestInterface | undefined): unknown {
  return link && { ...link, rawFlags: link.rawFlags & IFF_NOARP };
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function key(value: object): string {
  return JSON.stringify(value);
}

function addressKey({ address, peer = "" }: GuestAddress): string {
  return `${address} ${peer}`;
}

function placeOf({ family, destination = "default", from, tos, table, priority = 0 }: GuestRoute): string {
  return [family, destination, from, tos, table, priority].join(" ");
}
