/** The API's interfaces, routes and neighbours as the kernel's, and back. Pure. @module */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Family } from "../../linux/net/ip_address.ts";
import type { Address, Link, NewRoute, Route } from "../../linux/net/rtnetlink.ts";
import {
  type Interface,
  type InterfaceSchema,
  IPFamily,
  type Route as WireRoute,
  type RouteSchema,
} from "../../proto/types_pb.ts";

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

/** @param device Name of the route's link. */
export function routeToWire(route: Route, device: string): MessageInitShape<typeof RouteSchema> {
  return {
    dest: route.destination ?? "",
    gateway: route.gateway ?? "",
    device,
    source: route.source ?? "",
    scope: route.scope,
    family: route.family === "inet6" ? IPFamily.v6 : IPFamily.v4,
    flags: route.flags,
    mtu: route.mtu ?? 0,
    priority: route.priority ?? 0,
  };
}

/** A link as ListInterfaces answers it. */
export function interfaceToWire(link: Link, addresses: readonly Address[]): MessageInitShape<typeof InterfaceSchema> {
  return {
    device: link.name,
    name: link.name,
    IPAddresses: addresses.map(({ address, family }) => {
      const [ip = "", mask = ""] = address.split("/");
      return { family: family === "inet6" ? IPFamily.v6 : IPFamily.v4, address: ip, mask };
    }),
    mtu: BigInt(link.mtu),
    hwAddr: link.mac ?? "",
    type: link.kind ?? "",
    rawFlags: link.rawFlags,
  };
}
