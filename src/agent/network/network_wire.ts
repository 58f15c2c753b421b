/** The API's interfaces, routes and neighbours as the kernel's; `agent_api/network.ts` has the way back. Pure. @module */
import type { Family } from "../../linux/net/ip_address.ts";
import type { NewAddress, NewRoute } from "../../linux/net/rtnetlink.ts";
import { type Interface, IPFamily, type Route as WireRoute } from "../../proto/types_pb.ts";

const FAMILY = { [IPFamily.v4]: "inet", [IPFamily.v6]: "inet6" } as const satisfies Record<IPFamily, Family>;

/** Addresses of a link. The API has the prefix length as text in `mask`. */
export function addressesOf({ IPAddresses }: Interface, link: number): NewAddress[] {
  return IPAddresses.map(({ address, mask, peer, scope, noPrefixRoute, metric, label, broadcast }) => ({
    link,
    address: mask === "" ? address : `${address}/${mask}`,
    ...(peer !== "" && { peer }),
    scope,
    ...(metric !== 0 && { metric }),
    ...(label !== "" && { label }),
    ...(broadcast !== "" && { broadcast }),
    flags: noPrefixRoute ? ["noprefixroute"] : [],
  }));
}

/** @param link Index of the link that `wire.device` names; undefined if it names none. */
export function routeFromWire(wire: WireRoute, link: number | undefined): NewRoute {
  return {
    family: FAMILY[wire.family],
    link,
    destination: wire.dest || undefined,
    gateway: wire.gateway || undefined,
    source: wire.source || undefined,
    mtu: wire.mtu || undefined,
    priority: wire.priority || undefined,
    scope: wire.scope,
    flags: wire.flags,
    ...(wire.type !== 0 && { type: wire.type }),
    ...(wire.table !== 0 && { table: wire.table }),
    tos: wire.tos,
    from: wire.from || undefined,
    rest: wire.attributes,
  };
}

/** @param ways Of one route: messages that differ in device, gateway and weight. @param linkOf Index by name. */
export function multipathFromWire(ways: readonly WireRoute[], linkOf: (device: string) => number): NewRoute {
  const nexthops = ways.map(({ gateway, device, weight, flags }) => ({
    gateway: gateway || undefined,
    link: linkOf(device),
    weight: Math.min(weight, 256),
    flags,
  }));
  return { ...routeFromWire(ways[0]!, undefined), gateway: undefined, flags: 0, nexthops };
}
