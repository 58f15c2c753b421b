/** Takes out of the guest's network what the pod's has no longer. @module */
import { isErrno } from "../../linux/ffi/errno.ts";
import { type Link, Rtnetlink } from "../../linux/net/rtnetlink.ts";
import type { RemoveNetworkRequest } from "../../proto/leftovers_pb.ts";
import type { Interface, Route } from "../../proto/types_pb.ts";
import { addressesOf, routeFromWire } from "./network_wire.ts";

const VIRTIO = /\/virtio\d+$/;

/** Ignores things that are not there: they are gone already. @param sys `/sys`, or a directory like it. */
export function removeNetwork({ cards, interfaces, routes, rules }: RemoveNetworkRequest, sys = "/sys"): void {
  using netlink = new Rtnetlink();
  for (const rule of rules) unlessGone(() => netlink.deleteRule(rule));
  for (const route of routes) removeRoute(netlink, route);
  for (const one of interfaces) removeAddresses(netlink, one);
  for (const mac of cards) {
    const link = netlink.links().find((one) => one.mac === mac.toLowerCase());
    if (link !== undefined) removeCard(netlink, link, sys);
  }
}

function removeRoute(netlink: Rtnetlink, route: Route): void {
  const link = route.device === "" ? undefined : netlink.findLink(route.device)?.index;
  if (route.device !== "" && link === undefined) return;
  // Of a route with several ways each way is named; the first one takes the whole route.
  const { gateway, flags: _, ...rest } = routeFromWire(route, link);
  const isOneWay = route.weight === 0;
  const wanted = isOneWay ? { ...rest, gateway } : { ...rest, link: undefined };
  unlessGone(() => netlink.deleteRoute(wanted));
}

function removeAddresses(netlink: Rtnetlink, wanted: Interface): void {
  const link = netlink.findLink(wanted.name);
  if (link === undefined) return;
  for (const address of addressesOf(wanted, link.index)) unlessGone(() => netlink.deleteAddress(address));
}

/** The kernel lets go of a card of a bus; another link is taken away. */
function removeCard(netlink: Rtnetlink, link: Link, sys: string): void {
  const device = deviceOf(link, sys);
  if (device === undefined) unlessGone(() => netlink.deleteLink(link.index));
  else Deno.writeTextFileSync(`${device}/remove`, "1");
}

/**
 * The link's device on its bus. A sysfs shows the links of the network namespace in which it was mounted: where that is
 * another one, a link of the same name there is somebody else's card, perhaps the machine's own.
 */
function deviceOf({ name, index, mac }: Link, sys: string): string | undefined {
  const directory = `${sys}/class/net/${name}`;
  const read = (file: string) => Deno.readTextFileSync(`${directory}/${file}`).trim();
  try {
    if (Number(read("ifindex")) !== index || read("address") !== mac) return undefined;
    // The device on the bus is above the one that virtio makes of it.
    return Deno.realPathSync(`${directory}/device`).replace(VIRTIO, "");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

function unlessGone(remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (!isErrno(error, "ESRCH", "ENOENT", "EADDRNOTAVAIL", "ENODEV")) throw error;
  }
}
