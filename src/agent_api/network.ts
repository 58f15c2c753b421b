/** The guest's network as the host tells it to the agent, and its messages. Pure. @module */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type ARPNeighborSchema, type InterfaceSchema, IPFamily, type RouteSchema } from "../proto/types_pb.ts";

type Family = "inet" | "inet6";

/** An address of a network card. */
export interface GuestAddress {
  family: Family;
  /** With its prefix, such as `10.0.0.2/24`. */
  address: string;
  /** The other end of the link, with its prefix. */
  peer?: string | undefined;
  /** The kernel's `RT_SCOPE_*`. Default: universe. */
  scope?: number;
  /** Whether its network gets no route of its own. */
  noPrefixRoute?: boolean;
  /** Of the route that its network gets; undefined: as the kernel has it by default. */
  metric?: number | undefined;
  /** Name of it, where that is not the link's. */
  label?: string | undefined;
  /** Means all of its network; undefined: none does. */
  broadcast?: string | undefined;
}

/** A network card, which the agent finds by its hardware address and names. */
export interface GuestInterface {
  name: string;
  addresses: readonly GuestAddress[];
  /** Bytes. */
  mtu: number;
  mac: string | undefined;
  /** Slots of the card on the guest's PCI bus, as in `GuestAddress`. */
  devicePath?: string | undefined;
  /** Of the link on the host, such as `veth`. */
  kind: string | undefined;
  /** The kernel's `IFF_*`. */
  rawFlags: number;
}

/** A route. */
export interface GuestRoute {
  /** Name of the interface; empty for a type that has none. */
  device: string;
  family: Family;
  /** With its prefix; undefined is the default route. */
  destination: string | undefined;
  gateway: string | undefined;
  /** The address that packets are sent from. */
  source: string | undefined;
  /** Bytes. */
  mtu: number | undefined;
  priority: number | undefined;
  /** The kernel's `RT_SCOPE_*`. */
  scope: number;
  /** The kernel's `RTNH_F_*`. */
  flags: number;
  /** Of several ways to the same place, each a route of its own, the share of this one; undefined for the only one. */
  weight?: number | undefined;
  /** The kernel's `RTN_*`. Default: unicast. */
  type?: number;
  /** Number of its table. Default: the main one. */
  table?: number;
  /** Type of service that packets must have. Default: any. */
  tos?: number;
  /** Network that packets must come from, with its prefix; undefined for any. */
  from?: string | undefined;
  /** Further attributes as rtnetlink has them, none of which names a link. */
  rest?: Uint8Array;
}

/** An entry of the table of neighbours: ARP, or NDP. */
export interface GuestNeighbor {
  /** Name of the interface. */
  device: string;
  family: Family;
  address: string;
  mac: string | undefined;
  /** The kernel's `NUD_*`. */
  state: number;
  /** The kernel's `NTF_*`. */
  flags: number;
}

export interface GuestNetwork {
  interfaces: readonly GuestInterface[];
  routes: readonly GuestRoute[];
  neighbors: readonly GuestNeighbor[];
  /** Rules that choose a table, as rtnetlink has them: payloads that make them again. */
  rules: readonly Uint8Array[];
}

/** Parts of a network that are there no longer. */
export interface NetworkLeftovers {
  /** Hardware addresses of cards that the guest shall let go of. */
  cards: readonly string[];
  /** By name, each with the addresses that it has no longer. */
  interfaces: readonly GuestInterface[];
  routes: readonly GuestRoute[];
  /** As {@linkcode GuestNetwork.rules}. */
  rules: readonly Uint8Array[];
}

/** The kernel's `RTN_UNICAST`. */
const UNICAST = 1;
/** The kernel's `RT_TABLE_MAIN`. */
const MAIN = 254;

const FAMILY = { inet: IPFamily.v4, inet6: IPFamily.v6 } as const;

/** The API has the prefix length as text of its own. */
export function interfaceToWire(card: GuestInterface): MessageInitShape<typeof InterfaceSchema> {
  return {
    device: card.name,
    name: card.name,
    IPAddresses: card.addresses.map(addressToWire),
    mtu: BigInt(card.mtu),
    hwAddr: card.mac ?? "",
    devicePath: card.devicePath ?? "",
    type: card.kind ?? "",
    rawFlags: card.rawFlags,
  };
}

function addressToWire({ address, family, peer = "", scope = 0, noPrefixRoute = false, ...rest }: GuestAddress) {
  const [ip = "", mask = ""] = address.split("/");
  const { metric = 0, label = "", broadcast = "" } = rest;
  return { family: FAMILY[family], address: ip, mask, peer, scope, noPrefixRoute, metric, label, broadcast };
}

export function routeToWire(route: GuestRoute): MessageInitShape<typeof RouteSchema> {
  return {
    dest: route.destination ?? "",
    gateway: route.gateway ?? "",
    device: route.device,
    source: route.source ?? "",
    scope: route.scope,
    family: FAMILY[route.family],
    flags: route.flags,
    mtu: route.mtu ?? 0,
    priority: route.priority ?? 0,
    weight: route.weight ?? 0,
    type: route.type === UNICAST ? 0 : route.type ?? 0,
    table: route.table === MAIN ? 0 : route.table ?? 0,
    tos: route.tos ?? 0,
    from: route.from ?? "",
    attributes: route.rest ?? new Uint8Array(),
  };
}

export function neighborToWire(neighbor: GuestNeighbor): MessageInitShape<typeof ARPNeighborSchema> {
  return {
    toIPAddress: { family: FAMILY[neighbor.family], address: neighbor.address },
    device: neighbor.device,
    lladdr: neighbor.mac ?? "",
    state: neighbor.state,
    flags: neighbor.flags,
  };
}
