/** The API's interfaces, routes and neighbours as the kernel's; `agent_api/network.ts` has the way back. Pure. @module */
import type { Family } from "../../linux/net/ip_address.ts";
import type { NewRoute } from "../../linux/net/rtnetlink.ts";
import { type Interface, IPFamily, type Route as WireRoute } from "../../proto/types_pb.ts";

const FAMILY = { [IPFamily.v4]: "inet", [IPFamily.v6]: "inet6" } as const satisfies Record<IPFamily, Family>;

/** Addresses with their prefix, `10.0.0.2/24`; the API has the prefix length as text in `mask`. */
export function addressesOf({ IPAddresses }: Interface): string[] {
  return IPAddresses.map(({ address, mask }) => mask === "" ? address : `${address}/${mask}`);
}

/** @param link Index of the link that `wire.device` names. */
export function routeFromWire(wire: WireRoute, link: number): NewRoute {
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
  };
}
