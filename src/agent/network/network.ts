/** The guest's network: what the host tells about the pod's interfaces, done here. @module */
import { errorCode, KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { type Link, type LinkChange, type NewAddress, type NewRoute, Rtnetlink } from "../../linux/net/rtnetlink.ts";
import { ROUTE_TYPE } from "../../linux/net/rtnetlink_route.ts";
import { IFF_NOARP } from "../../linux/net/rtnetlink_link.ts";
import type { ARPNeighbor, Interface, Route } from "../../proto/types_pb.ts";
import type { DeviceWait, DeviceWaiter } from "../devices/waiter.ts";
import { addressesOf, multipathFromWire, routeFromWire } from "./network_wire.ts";

/** How the agent waits for a link that has just been plugged in. */
export interface LinkWait extends DeviceWait {
  devices: DeviceWaiter;
}

/**
 * Gives the link of the interface's hardware address its addresses, name, MTU and flags, and brings it up. A link that
 * has just been plugged in is waited for. One that is up stays so unless its name or its hardware address changes: it would
 * lose its routes.
 *
 * @throws {KataError} NOT_FOUND if none appears.
 */
export async function updateInterface(wanted: Interface, wait: LinkWait): Promise<void> {
  using netlink = new Rtnetlink();
  const link = await waitForLink(netlink, wanted, wait);
  const isRenamed = wanted.name !== "" && wanted.name !== link.name;
  const isReplaced = wanted.hwAddr !== "" && wanted.hwAddr.toLowerCase() !== link.mac;
  // A link that is up keeps its name.
  if (link.flags.has("up") && (isRenamed || isReplaced)) netlink.changeLink(link.index, { up: false });
  if (isRenamed) takeName(netlink, link, wanted.name);
  const change: LinkChange = { up: true, arp: (wanted.rawFlags & IFF_NOARP) === 0 };
  if (wanted.mtu > 0n) change.mtu = Number(wanted.mtu);
  if (isReplaced) change.mac = wanted.hwAddr;
  netlink.changeLink(link.index, change);
  for (const address of addressesOf(wanted, link.index)) addAddress(netlink, address);
}

/** The host may name a link by the slots of its card; then the card gets the hardware address that is asked for. */
async function waitForLink(netlink: Rtnetlink, wanted: Interface, { devices, ...wait }: LinkWait): Promise<Link> {
  const { hwAddr, name, device, devicePath } = wanted;
  try {
    if (devicePath !== "") return netlink.link(await devices.netAt(devicePath, wait));
    const address = hwAddr === "" ? { name: name || device } : { mac: hwAddr.toLowerCase() };
    return await devices.until({ kind: "net", ...address }, () => findLink(netlink.links(), wanted), wait);
  } catch (cause) {
    if (errorCode(cause) !== "NOT_FOUND") throw cause;
    throw noSuchLink(name || device, { mac: hwAddr, cause });
  }
}

function findLink(links: readonly Link[], { hwAddr, device, name: wanted }: Interface): Link | undefined {
  return links.find(({ mac }) => mac !== undefined && mac === hwAddr.toLowerCase()) ??
    links.find(({ name }) => name !== "" && (name === device || name === wanted));
}

/** Another link may have the name (the kernel numbers them as they appear); then the two swap. */
function takeName(netlink: Rtnetlink, link: Link, name: string): void {
  const holder = netlink.findLink(name);
  if (holder === undefined) return netlink.changeLink(link.index, { name });
  const wasUp = holder.flags.has("up");
  if (wasUp) netlink.changeLink(holder.index, { up: false });
  netlink.changeLink(holder.index, { name: `${name.slice(0, 10)}_temp` });
  netlink.changeLink(link.index, { name });
  netlink.changeLink(holder.index, { name: link.name, ...(wasUp && { up: true }) });
}

function addAddress(netlink: Rtnetlink, address: NewAddress): void {
  const isIpv6 = address.address.includes(":");
  if (isIpv6 && ipv6IsDisabled()) return;
  takeOldLabel(netlink, address);
  // The host has the address already and nobody else can: no time is lost on looking for duplicates.
  netlink.replaceAddress({ ...address, flags: [...address.flags ?? [], ...(isIpv6 ? ["nodad"] as const : [])] });
}

/** The kernel keeps the name of an address that is there. */
function takeOldLabel(netlink: Rtnetlink, { link, address, label }: NewAddress): void {
  if (label === undefined) return;
  const old = netlink.addresses({ link }).find((one) => one.address === address && one.label !== label);
  if (old !== undefined) netlink.deleteAddress({ link, address });
}

function ipv6IsDisabled(): boolean {
  try {
    return Deno.readTextFileSync("/proc/sys/net/ipv6/conf/all/disable_ipv6").trim() === "1";
  } catch {
    return true; // a kernel without it
  }
}

/**
 * Sets routes; those to a network first, as gateways are reached through them. Then rules, which may lead to tables of
 * these routes. A rule that is there stays.
 */
export function updateRoutes(routes: readonly Route[], rules: readonly Uint8Array[] = []): void {
  using netlink = new Rtnetlink();
  const linkOf = (device: string) => linkByName(netlink, device).index;
  for (const route of routes.filter(({ gateway, weight }) => gateway === "" && weight === 0)) {
    setRoute(netlink, routeFromWire(route, hasNoDevice(route) ? undefined : linkOf(route.device)));
  }
  for (const route of routes.filter(({ gateway, weight }) => gateway !== "" && weight === 0)) {
    setRoute(netlink, routeFromWire(route, linkOf(route.device)));
  }
  const ways = Map.groupBy(routes.filter(({ weight }) => weight > 0), keyOf);
  for (const ofOne of ways.values()) setRoute(netlink, multipathFromWire(ofOne, linkOf));
  for (const rule of rules) unlessThere(() => netlink.addRule(rule));
}

/** Such as a blackhole. */
function hasNoDevice({ type, device }: Route): boolean {
  return device === "" && type !== 0 && type !== ROUTE_TYPE.unicast;
}

/** Key of a route, which all its ways have. */
function keyOf({ family, dest, from, tos, table, priority }: Route): string {
  return [family, dest, from, tos, table, priority].join(" ");
}

function setRoute(netlink: Rtnetlink, route: NewRoute): void {
  unlessThere(() => netlink.replaceRoute(route));
}

function unlessThere(make: () => void): void {
  try {
    make();
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
}

/** Sets neighbour entries; without a state they are permanent, so that nobody waits for ARP (B47). */
export function addNeighbors(neighbors: readonly ARPNeighbor[]): void {
  using netlink = new Rtnetlink();
  for (const { toIPAddress, device, lladdr, state, flags } of neighbors) {
    if (toIPAddress === undefined) {
      throw new KataError("INVALID_ARGUMENT", `Cannot add a neighbour on "${device}": it has no address`);
    }
    netlink.replaceNeighbor({
      link: linkByName(netlink, device).index,
      address: toIPAddress.address,
      ...(lladdr !== "" && { mac: lladdr }),
      ...(state !== 0 && { state }),
      flags,
    });
  }
}

function linkByName(netlink: Rtnetlink, name: string): Link {
  const link = netlink.findLink(name);
  if (link === undefined) throw noSuchLink(name);
  return link;
}

function noSuchLink(name: string, { mac = "", cause }: { mac?: string; cause?: unknown } = {}): KataError {
  const detail = mac === "" ? "" : ` with hardware address "${mac}"`;
  return new KataError("NOT_FOUND", `Cannot find network interface "${name}"${detail} in the guest`, { cause });
}
