/** Selects from a pod's network namespace what the guest gets: links, addresses, routes, neighbours. Pure. @module */
import type { GuestAddress, GuestInterface, GuestNeighbor, GuestNetwork, GuestRoute } from "../../agent_api/network.ts";
import { KataError } from "../../base/error.ts";
import { formatIp, parseMac } from "../../linux/net/ip_address.ts";
import type { Address, Link, Neighbor, Route, Rule } from "../../linux/net/rtnetlink.ts";
import { SCOPE } from "../../linux/net/rtnetlink_address.ts";
import { NEIGHBOR_STATE } from "../../linux/net/rtnetlink_neighbor.ts";
import { ROUTE_PROTOCOL, ROUTE_TABLE, ROUTE_TYPE, RTNH_F_ONLINK } from "../../linux/net/rtnetlink_route.ts";

/** A network namespace at one moment. */
export interface NetnsContent {
  links: readonly Link[];
  addresses: readonly Address[];
  routes: readonly Route[];
  neighbors: readonly Neighbor[];
  rules: readonly Rule[];
}

const ARPHRD_ETHER = 1;
/** Of {@linkcode Link.hardwareType}. */
export const ARPHRD_LOOPBACK = 772;
/** Kinds that are joined to a tap of ours. */
const JOINED_KINDS: ReadonlySet<string> = new Set(["veth", "tun", "macvlan"]);
/** The taps that we put into the namespace ourselves. */
const OUR_TAP = /^tap\d+_kata$/;
/** States of a neighbour whose hardware address is good. */
const KNOWN = NEIGHBOR_STATE.reachable | NEIGHBOR_STATE.stale | NEIGHBOR_STATE.delay | NEIGHBOR_STATE.probe |
  NEIGHBOR_STATE.permanent;

/** A few words on what to do about a link of another kind. */
const WAY_OUT = "a VM takes veth, macvlan and tap; make others on the host, or by a container of the pod";

/**
 * The links that the guest shall have, of whatever kind. The loopback, which it has, and those that nobody uses are left
 * out, such as the tunnel devices that every namespace has.
 */
export function guestLinks({ links, addresses }: Pick<NetnsContent, "links" | "addresses">): Link[] {
  const inUse = new Set(addresses.map(({ link }) => link));
  return links.filter(({ index, name, flags, hardwareType }) =>
    hardwareType !== ARPHRD_LOOPBACK && !OUR_TAP.test(name) && (flags.has("up") || inUse.has(index))
  );
}

/** @throws {KataError} UNIMPLEMENTED for a link of a kind that cannot be joined to a VM, by its name. */
export function refuseStrange({ kind = "physical", name, hardwareType }: Link): void {
  const isEthernet = hardwareType === ARPHRD_ETHER;
  if (isEthernet && JOINED_KINDS.has(kind)) return;
  const its = `its kind is ${kind}${isEthernet ? "" : ", without Ethernet frames"}`;
  throw new KataError("UNIMPLEMENTED", `Cannot join interface "${name}" to the VM: ${its}; ${WAY_OUT}`);
}

/**
 * @param taps Indexes of taps that are not another machine's.
 * @throws {KataError} FAILED_PRECONDITION: a machine is in this network, which two would take from each other.
 */
export function refuseOthersTap(links: readonly Link[], taps: ReadonlySet<number>): void {
  const tap = links.find(({ index, name }) => OUR_TAP.test(name) && !taps.has(index));
  if (tap === undefined) return;
  const whose = `Cannot join a network in which "${tap.name}" is another virtual machine's`;
  throw new KataError("FAILED_PRECONDITION", `${whose}: it can be of one only, with all its containers in one pod`);
}

/** The gateways of a link, which its first packets will go to. */
export function gatewaysOf({ routes }: Pick<NetnsContent, "routes">, link: number): string[] {
  const ways = routes.flatMap((route) => [route, ...route.nexthops]);
  const gateways = ways.filter((way) => way.link === link).flatMap(({ gateway }) => gateway ?? []);
  return [...new Set(gateways)];
}

/** @param links Of the guest; what belongs to others is left out. */
export function describeNetwork(content: NetnsContent, links: readonly Link[]): GuestNetwork {
  const names = new Map(links.map(({ index, name }) => [index, name]));
  const byName = <T extends { link: number | undefined }>(objects: readonly T[]) =>
    objects.flatMap((object) => {
      const device = names.get(object.link ?? 0);
      return device === undefined ? [] : [{ object, device }];
    });
  return {
    interfaces: links.map((link) => toInterface(link, content.addresses)),
    routes: content.routes.filter(isForGuest).flatMap((route) => toRoutes(route, names)),
    neighbors: byName(content.neighbors.filter((neighbor) => isUseful(neighbor, content))).map(
      ({ object, device }) => toNeighbor(object, device),
    ),
    rules: content.rules.filter(isAdded).map(({ message }) => message),
  };
}

function toInterface(link: Link, addresses: readonly Address[]): GuestInterface {
  const own = addresses.filter((address) => address.link === link.index && !followsFromMac(address, link));
  const { name, mtu, mac, kind, rawFlags } = link;
  return { name, addresses: own.map((address) => toAddress(address, name)), mtu, mac, kind, rawFlags };
}

/** The guest's card has the same hardware address, so its kernel makes the same link-local address of it. */
function followsFromMac({ family, scope, address }: Address, { mac }: Link): boolean {
  if (family !== "inet6" || scope !== SCOPE.link || mac === undefined) return false;
  const [first = 0, ...rest] = parseMac(mac);
  const bytes = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)];
  return address === `${formatIp(Uint8Array.from(bytes))}/64`;
}

/** @param name Of its link, which the kernel gives to addresses that have no other. */
function toAddress(
  { family, address, peer, scope, flags, metric, broadcast, ...rest }: Address,
  name: string,
): GuestAddress {
  const label = rest.label === name ? undefined : rest.label;
  return { family, address, peer, scope, noPrefixRoute: flags.has("noprefixroute"), metric, label, broadcast };
}

/** Types of routes that need no link. */
const NOWHERE: readonly number[] = [
  ROUTE_TYPE.blackhole,
  ROUTE_TYPE.unreachable,
  ROUTE_TYPE.prohibit,
  ROUTE_TYPE.throw,
];

/** Rules that each namespace has, by the table that they lead to and its priority. */
const USUAL_RULES: ReadonlyMap<number, number> = new Map([
  [ROUTE_TABLE.local, 0],
  [ROUTE_TABLE.main, 32766],
  [ROUTE_TABLE.default, 32767],
]);

/** Whether somebody has added it to those that each namespace has. */
function isAdded({ table, priority }: Rule): boolean {
  return USUAL_RULES.get(table) !== priority;
}

/** Leaves out routes that the kernel made for an address: the guest's kernel makes them as well. */
export function isForGuest({ type, protocol }: Route): boolean {
  if (protocol === ROUTE_PROTOCOL.kernel) return false;
  return type === ROUTE_TYPE.unicast || NOWHERE.includes(type);
}

/** A route over several links is one for each of them. @param names Of the guest's links, by index. */
function toRoutes(route: Route, names: ReadonlyMap<number, string>): GuestRoute[] {
  const { family, destination, source, mtu, priority, scope, type, table, tos, from, rest } = route;
  const same = { family, destination, source, mtu, priority, scope, type, table, tos, from, rest };
  if (NOWHERE.includes(type)) return [{ ...same, device: "", gateway: undefined, flags: 0, weight: undefined }];
  const ways = route.nexthops.length > 0 ? route.nexthops : [{ ...route, weight: undefined }];
  return ways.flatMap(({ link, gateway, flags, weight }) => {
    const device = names.get(link ?? 0);
    // The other flags tell the state of the link in the host.
    return device === undefined ? [] : [{ ...same, device, gateway, flags: flags & RTNH_F_ONLINK, weight }];
  });
}

/** Where packets of a link go first. */
export type Gateway = Pick<Neighbor, "link" | "address">;

/** Whether a gateway's hardware address is known. */
export function isNeighbor(neighbors: readonly Neighbor[], { link, address }: Gateway): boolean {
  return neighbors.some((neighbor) => neighbor.link === link && neighbor.address === address && hasGoodMac(neighbor));
}

function hasGoodMac({ mac, state }: Neighbor): boolean {
  return mac !== undefined && (state & KNOWN) !== 0;
}

/** Entries that somebody set, and those of gateways: who else is near, the guest finds out itself (B47). */
function isUseful(neighbor: Neighbor, content: NetnsContent): boolean {
  if (!hasGoodMac(neighbor)) return false;
  const { link, address, state } = neighbor;
  return (state & NEIGHBOR_STATE.permanent) !== 0 || gatewaysOf(content, link).includes(address);
}

/**
 * Entries that the host has learnt may be wrong tomorrow: a gateway is replaced, a bridge made anew. The guest uses such an
 * entry at once and asks again meanwhile.
 */
function toNeighbor({ family, address, mac, flags, state }: Neighbor, device: string): GuestNeighbor {
  const kept = (state & NEIGHBOR_STATE.permanent) !== 0 ? NEIGHBOR_STATE.permanent : NEIGHBOR_STATE.stale;
  return { device, family, address, mac, state: kept, flags };
}
