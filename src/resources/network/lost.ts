/** Names what a pod's network namespace has and its guest will not. Pure. @module */
import type { Link, Route, Rule } from "../../linux/net/rtnetlink.ts";
import { ROUTE_PROTOCOL, ROUTE_TABLE } from "../../linux/net/rtnetlink_route.ts";
import { isForGuest } from "./scan.ts";

export interface LostOptions {
  /** Of the guest. */
  links: readonly Link[];
  routes: readonly Route[];
  rules: readonly Rule[];
}

/** Rules that each namespace has, by the table that they lead to and its priority. */
const USUAL_RULES: ReadonlyMap<number, number> = new Map([
  [ROUTE_TABLE.local, 0],
  [ROUTE_TABLE.main, 32766],
  [ROUTE_TABLE.default, 32767],
]);
const LINKED: readonly number[] = [ROUTE_TABLE.local, ROUTE_TABLE.main];

/** @returns A few words for each. */
export function lostOf({ links, routes, rules }: LostOptions): string[] {
  const indexes = new Set(links.map(({ index }) => index));
  return [
    ...rules.filter(({ table, priority }) => USUAL_RULES.get(table) !== priority).map(describeRule),
    ...routes.filter(isElsewhere).map((route) => `${describe(route)} of table ${route.table}`),
    ...routes.filter(isForGuest).flatMap((route) => lostOfRoute(route, indexes)),
  ];
}

/** Tables besides the usual ones are only asked by rules. */
function isElsewhere({ table, protocol }: Route): boolean {
  return !LINKED.includes(table) && protocol !== ROUTE_PROTOCOL.kernel;
}

function lostOfRoute(route: Route, links: ReadonlySet<number>): string[] {
  const { tos, otherMetrics, nexthops } = route;
  const strange = nexthops.filter(({ link }) => !links.has(link));
  return [
    ...(tos === 0 ? [] : [`type of service ${tos} of ${describe(route)}`]),
    ...(otherMetrics.length === 0 ? [] : [`metrics ${otherMetrics.join(", ")} (RTAX_*) of ${describe(route)}`]),
    ...strange.map(({ gateway = "none" }) => `way by gateway ${gateway} of ${describe(route)}`),
  ];
}

function describe({ family, destination = "default" }: Route): string {
  return `${family} route to ${destination}`;
}

function describeRule({ family, priority, table }: Rule): string {
  return `${family} rule ${priority} to ${table === 0 ? "no table" : `table ${table}`}`;
}
