/** Names what a pod's network namespace has and its guest cannot get. Pure. @module */
import { KataError } from "../../base/error.ts";
import type { Address, Link, Route, Rule } from "../../linux/net/rtnetlink.ts";
import { ROUTE_PROTOCOL, ROUTE_TYPE } from "../../linux/net/rtnetlink_route.ts";
import { ARPHRD_LOOPBACK, isForGuest, type NetnsContent } from "./scan.ts";

export interface LostOptions extends Pick<NetnsContent, "addresses" | "routes" | "rules"> {
  /** Of the guest. */
  links: readonly Link[];
  /** Index of the loopback. */
  loopback: number | undefined;
}

/** @param joined Indexes of the guest's links. @throws {KataError} UNIMPLEMENTED, naming all of it. */
export function refuseLost({ links, ...content }: NetnsContent, joined: { has(index: number): boolean }): void {
  const loopback = links.find(({ hardwareType }) => hardwareType === ARPHRD_LOOPBACK)?.index;
  const lost = lostOf({ ...content, links: links.filter(({ index }) => joined.has(index)), loopback });
  if (lost.length > 0) {
    throw new KataError("UNIMPLEMENTED", `Cannot give the pod's network to its VM: ${lost.join("; ")}`);
  }
}

/** @returns A few words for each. */
export function lostOf({ links, loopback, addresses, routes, rules }: LostOptions): string[] {
  const indexes = new Set(links.map(({ index }) => index));
  return [
    ...links.flatMap(lostOfLink),
    ...missingRules(rules),
    ...addresses.filter((address) => address.link === loopback && !LOOPBACK.test(address.address)).map(describeAddress),
    ...routes.filter(isOfItself).map((route) => `${describe(route)} of type ${route.type} (RTN_*)`),
    ...routes.filter(isForGuest).flatMap((route) => lostOfRoute(route, indexes)),
  ];
}

function lostOfLink({ name, altNames, group, master }: Link): string[] {
  return [
    ...altNames.map((other) => `that link "${name}" has the other name "${other}"`),
    ...(group === 0 ? [] : [`that link "${name}" is of group ${group}`]),
    ...(master === undefined ? [] : [`that link "${name}" is a port of link ${master}`]),
  ];
}

/** Addresses of each loopback. */
const LOOPBACK = /^(127\.0\.0\.1\/8|::1\/128)$/;

/** Types of routes that the kernel makes for addresses; made by somebody, they are something else. */
const OF_ADDRESSES: readonly number[] = [
  ROUTE_TYPE.local,
  ROUTE_TYPE.broadcast,
  ROUTE_TYPE.anycast,
  ROUTE_TYPE.multicast,
];

function isOfItself({ type, protocol }: Route): boolean {
  return protocol !== ROUTE_PROTOCOL.kernel && OF_ADDRESSES.includes(type);
}

/** A namespace in which somebody has taken the first rule away. */
function missingRules(rules: readonly Rule[]): string[] {
  return (["inet", "inet6"] as const).flatMap((family) => {
    const own = rules.filter((rule) => rule.family === family);
    return own.length === 0 || own.some(({ priority }) => priority === 0) ? [] : [`that ${family} has no rule 0`];
  });
}

function lostOfRoute(route: Route, links: ReadonlySet<number>): string[] {
  const { link, nexthops } = route;
  const strange = nexthops.filter((way) => !links.has(way.link));
  const rich = nexthops.filter(({ others }) => others.length > 0);
  const isNowhere = route.type !== ROUTE_TYPE.unicast || nexthops.length > 0 || (link !== undefined && links.has(link));
  return [
    ...(isNowhere ? [] : [`${describe(route)} by a link that is not the guest's`]),
    ...strange.map(({ gateway = "none" }) => `way by gateway ${gateway} of ${describe(route)}`),
    ...rich.map(({ others }) => `attributes ${others.join(", ")} (RTA_*) of a way of ${describe(route)}`),
  ];
}

function describe({ family, destination = "default" }: Route): string {
  return `${family} route to ${destination}`;
}

function describeAddress({ address }: Address): string {
  return `address ${address} of the loopback`;
}
