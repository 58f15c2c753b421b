/**
 * Routes as the kernel describes them. Pure; `rtnetlink.ts` sends them.
 *
 * @module
 */
import { FAMILIES, type Family, familyOf, formatCidr, formatIp, ipFamily, parseCidr, parseIp } from "./ip_address.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import {
  type Attribute,
  attribute,
  attributeMap,
  encodeAttributes,
  headerView,
  readNumber,
  viewOf,
} from "./netlink.ts";
import { restOf, withRest } from "./rtnetlink_route_rest.ts";

/** Origin of a route (`RTPROT_*`). */
export const ROUTE_PROTOCOL = { redirect: 1, kernel: 2, boot: 3, static: 4, ra: 9, dhcp: 16 } as const;
/** The tables that every namespace has. */
export const ROUTE_TABLE = { default: 253, main: 254, local: 255 } as const;
/** Treatment of packets that match a route (`RTN_*`). */
export const ROUTE_TYPE = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
} as const;
/** A gateway counts as reachable by the link even if no network of the link holds it. */
export const RTNH_F_ONLINK = 4;

/** One of several ways of a route. */
export interface Nexthop {
  gateway: string | undefined;
  /** Index of the link. */
  link: number;
  /** Share of the packets, beside those of the others: 1 to 256. */
  weight: number;
  /** `RTNH_F_*` bits. */
  flags: number;
  /** Numbers (`RTA_*`) of what else it has. */
  others: readonly number[];
}

/** A route. */
export interface Route {
  family: Family;
  /** `10.88.0.0/24`; undefined for the default route. */
  destination: string | undefined;
  gateway: string | undefined;
  /** Index of the link that packets leave by; undefined for a route over several. */
  link: number | undefined;
  /** Preferred source address. */
  source: string | undefined;
  /** Lower is preferred. */
  priority: number | undefined;
  mtu: number | undefined;
  /** One of {@linkcode ROUTE_TABLE}, or another number. */
  table: number;
  /** One of `SCOPE`. */
  scope: number;
  /** One of {@linkcode ROUTE_PROTOCOL}, or another number. */
  protocol: number;
  /** One of {@linkcode ROUTE_TYPE}. */
  type: number;
  /** `RTNH_F_*` bits. */
  flags: number;
  /** Ways of a route over several links; empty for one that has a link or none. */
  nexthops: readonly Nexthop[];
  /** Type of service that packets must have; 0 for all. */
  tos: number;
  /** Network that packets must come from (IPv6), with its prefix; undefined for any. */
  from: string | undefined;
  /** Attributes that are passed on as they are: see `rtnetlink_route_rest.ts`. */
  rest: Uint8Array;
}

/** A route to be added or deleted; the family follows from destination, gateway or source. */
export interface NewRoute {
  /** For a default route with nothing else that tells; IPv4 if absent. */
  family?: Family;
  destination?: string | undefined;
  gateway?: string | undefined;
  link?: number | undefined;
  source?: string | undefined;
  priority?: number | undefined;
  mtu?: number | undefined;
  /** The main table if absent. */
  table?: number;
  scope?: number;
  /** `boot` if absent, as `ip route add` has it. */
  protocol?: number;
  type?: number;
  flags?: number;
  /** In place of a link and a gateway. */
  nexthops?: readonly Omit<Nexthop, "others">[];
  tos?: number;
  from?: string | undefined;
  rest?: Uint8Array;
}

const RTA = {
  DST: 1,
  SRC: 2,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFSRC: 7,
  METRICS: 8,
  MULTIPATH: 9,
  TABLE: 15,
  VIA: 18,
} as const;
const RTAX_MTU = 2;

/** `struct rtmsg`: u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags. */
const HEADER_SIZE = 12;

/** Reads one `RTM_NEWROUTE` message; undefined if it is not about IP. */
export function decodeRoute(payload: Uint8Array): Route | undefined {
  const view = headerView(payload, HEADER_SIZE, "route");
  const [familyNumber = 0, prefix = 0, fromPrefix = 0, tos = 0, table = 0, protocol = 0, scope = 0, type = 0] = payload;
  const family = familyOf(familyNumber);
  if (family === undefined) return undefined;
  const attributes = attributeMap(payload.subarray(HEADER_SIZE));
  const destination = attributes.get(RTA.DST);
  const metrics = attributeMap(attributes.get(RTA.METRICS) ?? new Uint8Array());
  const multipath = attributes.get(RTA.MULTIPATH);
  const source = attributes.get(RTA.PREFSRC);
  const from = attributes.get(RTA.SRC);
  return {
    family,
    destination: destination === undefined ? undefined : formatCidr({ bytes: destination, prefix }),
    gateway: decodeGateway(attributes),
    link: readNumber(attributes.get(RTA.OIF)),
    source: source === undefined ? undefined : formatIp(source),
    priority: readNumber(attributes.get(RTA.PRIORITY)),
    mtu: readNumber(metrics.get(RTAX_MTU)),
    table: readNumber(attributes.get(RTA.TABLE)) ?? table,
    scope,
    protocol,
    type,
    flags: view.getUint32(8, LITTLE_ENDIAN),
    nexthops: multipath === undefined ? [] : decodeNexthops(multipath),
    tos,
    from: from === undefined ? undefined : formatCidr({ bytes: from, prefix: fromPrefix }),
    rest: restOf(attributes),
  };
}

/** `struct rtnexthop`: u16 length, u8 flags, u8 weight less 1, i32 index. */
const NEXTHOP_SIZE = 8;

/** @throws {RangeError} A length points outside `bytes`. */
function decodeNexthops(bytes: Uint8Array): Nexthop[] {
  const view = viewOf(bytes);
  const nexthops: Nexthop[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = at + NEXTHOP_SIZE > bytes.length ? 0 : view.getUint16(at, LITTLE_ENDIAN);
    if (length < NEXTHOP_SIZE || at + length > bytes.length) {
      throw new RangeError(`Cannot decode next hop at byte ${at}: length ${length} of ${bytes.length}`);
    }
    const attributes = attributeMap(bytes.subarray(at + NEXTHOP_SIZE, at + length));
    nexthops.push({
      gateway: decodeGateway(attributes),
      link: view.getInt32(at + 4, LITTLE_ENDIAN),
      weight: view.getUint8(at + 3) + 1,
      flags: view.getUint8(at + 2),
      others: [...attributes.keys()].filter((type) => type !== RTA.GATEWAY && type !== RTA.VIA),
    });
    at += (length + 3) & ~3;
  }
  return nexthops;
}

function encodeNexthop(family: Family, { gateway, link, weight, flags }: Omit<Nexthop, "others">): Uint8Array {
  const tail = encodeAttributes(gateway === undefined ? [] : [encodeGateway(family, gateway)]);
  const bytes = new Uint8Array(NEXTHOP_SIZE + tail.length);
  const view = viewOf(bytes);
  view.setUint16(0, bytes.length, LITTLE_ENDIAN);
  view.setUint8(2, flags);
  view.setUint8(3, weight - 1);
  view.setInt32(4, link, LITTLE_ENDIAN);
  bytes.set(tail, NEXTHOP_SIZE);
  return bytes;
}

/** `RTA_VIA` is a gateway of the other family: u16 family, then the address. */
function decodeGateway(attributes: ReadonlyMap<number, Uint8Array>): string | undefined {
  const bytes = attributes.get(RTA.GATEWAY) ?? attributes.get(RTA.VIA)?.subarray(2);
  return bytes === undefined ? undefined : formatIp(bytes);
}

/** The payload of `RTM_NEWROUTE` and `RTM_DELROUTE`. */
export function encodeRoute(route: NewRoute): Uint8Array {
  const { destination, gateway, link, source, priority, mtu, table = ROUTE_TABLE.main, nexthops = [] } = route;
  const from = route.from === undefined ? undefined : parseCidr(route.from);
  const family = route.family ?? ipFamily(destination ?? source ?? gateway ?? "");
  const network = destination === undefined ? undefined : parseCidr(destination);
  const attributes = [
    // A prefix of 0 is the default route, and that has no destination.
    ...(network === undefined || network.prefix === 0 ? [] : [attribute.bytes(RTA.DST, network.bytes)]),
    ...(gateway === undefined ? [] : [encodeGateway(family, gateway)]),
    ...(link === undefined ? [] : [attribute.u32(RTA.OIF, link)]),
    ...(source === undefined ? [] : [attribute.bytes(RTA.PREFSRC, parseIp(source))]),
    ...(priority === undefined ? [] : [attribute.u32(RTA.PRIORITY, priority)]),
    ...(nexthops.length === 0 ? [] : [encodeMultipath(family, nexthops)]),
    ...(from === undefined ? [] : [attribute.bytes(RTA.SRC, from.bytes)]),
    ...withRest(route.rest ?? new Uint8Array(), mtu),
    attribute.u32(RTA.TABLE, table),
  ];
  const prefixes = { prefix: network?.prefix ?? 0, fromPrefix: from?.prefix ?? 0 };
  return withHeader({ ...route, ...prefixes, table, family: FAMILIES[family] }, attributes);
}

function encodeMultipath(family: Family, nexthops: NonNullable<NewRoute["nexthops"]>): Attribute {
  const parts = nexthops.map((nexthop) => encodeNexthop(family, nexthop));
  return attribute.bytes(RTA.MULTIPATH, Uint8Array.from(parts.flatMap((part) => [...part])));
}

function encodeGateway(family: Family, gateway: string): Attribute {
  const bytes = parseIp(gateway);
  const gatewayFamily = ipFamily(gateway);
  if (gatewayFamily === family) return attribute.bytes(RTA.GATEWAY, bytes);
  return attribute.bytes(RTA.VIA, Uint8Array.of(FAMILIES[gatewayFamily], 0, ...bytes));
}

/** The payload of an `RTM_GETROUTE` dump. */
export function encodeRouteFilter({ family }: { family?: Family }): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  bytes[0] = family === undefined ? 0 : FAMILIES[family];
  return bytes;
}

interface RouteHeader {
  family: number;
  prefix: number;
  fromPrefix?: number;
  tos?: number;
  table: number;
  scope?: number;
  protocol?: number;
  type?: number;
  flags?: number;
}

function withHeader(header: RouteHeader, attributes: readonly Attribute[]): Uint8Array {
  const { family, prefix, fromPrefix = 0, tos = 0, table, scope = 0, flags = 0 } = header;
  const { protocol = ROUTE_PROTOCOL.boot, type = ROUTE_TYPE.unicast } = header;
  const tail = encodeAttributes(attributes);
  const bytes = new Uint8Array(HEADER_SIZE + tail.length);
  // The table has a byte here; a greater number is in the attribute only.
  bytes.set([family, prefix, fromPrefix, tos, table > 255 ? 0 : table, protocol, scope, type]);
  viewOf(bytes).setUint32(8, flags, LITTLE_ENDIAN);
  bytes.set(tail, HEADER_SIZE);
  return bytes;
}
