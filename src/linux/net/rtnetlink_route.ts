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
} as const;
/** A gateway counts as reachable by the link even if no network of the link holds it. */
export const RTNH_F_ONLINK = 4;

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
}

const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, PREFSRC: 7, METRICS: 8, TABLE: 15, VIA: 18 } as const;
const RTAX_MTU = 2;

/** `struct rtmsg`: u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags. */
const HEADER_SIZE = 12;

/** Reads one `RTM_NEWROUTE` message; undefined if it is not about IP. */
export function decodeRoute(payload: Uint8Array): Route | undefined {
  const view = headerView(payload, HEADER_SIZE, "route");
  const [familyNumber = 0, prefix = 0, , , table = 0, protocol = 0, scope = 0, type = 0] = payload;
  const family = familyOf(familyNumber);
  if (family === undefined) return undefined;
  const attributes = attributeMap(payload.subarray(HEADER_SIZE));
  const destination = attributes.get(RTA.DST);
  const metrics = attributes.get(RTA.METRICS);
  const source = attributes.get(RTA.PREFSRC);
  return {
    family,
    destination: destination === undefined ? undefined : formatCidr({ bytes: destination, prefix }),
    gateway: decodeGateway(attributes),
    link: readNumber(attributes.get(RTA.OIF)),
    source: source === undefined ? undefined : formatIp(source),
    priority: readNumber(attributes.get(RTA.PRIORITY)),
    mtu: metrics === undefined ? undefined : readNumber(attributeMap(metrics).get(RTAX_MTU)),
    table: readNumber(attributes.get(RTA.TABLE)) ?? table,
    scope,
    protocol,
    type,
    flags: view.getUint32(8, LITTLE_ENDIAN),
  };
}

/** `RTA_VIA` is a gateway of the other family: u16 family, then the address. */
function decodeGateway(attributes: ReadonlyMap<number, Uint8Array>): string | undefined {
  const bytes = attributes.get(RTA.GATEWAY) ?? attributes.get(RTA.VIA)?.subarray(2);
  return bytes === undefined ? undefined : formatIp(bytes);
}

/** The payload of `RTM_NEWROUTE` and `RTM_DELROUTE`. */
export function encodeRoute(route: NewRoute): Uint8Array {
  const { destination, gateway, link, source, priority, mtu, table = ROUTE_TABLE.main } = route;
  const family = route.family ?? ipFamily(destination ?? source ?? gateway ?? "");
  const network = destination === undefined ? undefined : parseCidr(destination);
  const attributes = [
    // A prefix of 0 is the default route, and that has no destination.
    ...(network === undefined || network.prefix === 0 ? [] : [attribute.bytes(RTA.DST, network.bytes)]),
    ...(gateway === undefined ? [] : [encodeGateway(family, gateway)]),
    ...(link === undefined ? [] : [attribute.u32(RTA.OIF, link)]),
    ...(source === undefined ? [] : [attribute.bytes(RTA.PREFSRC, parseIp(source))]),
    ...(priority === undefined ? [] : [attribute.u32(RTA.PRIORITY, priority)]),
    ...(mtu === undefined ? [] : [attribute.nested(RTA.METRICS, [attribute.u32(RTAX_MTU, mtu)])]),
    attribute.u32(RTA.TABLE, table),
  ];
  return withHeader({ ...route, table, family: FAMILIES[family], prefix: network?.prefix ?? 0 }, attributes);
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
  table: number;
  scope?: number;
  protocol?: number;
  type?: number;
  flags?: number;
}

function withHeader(header: RouteHeader, attributes: readonly Attribute[]): Uint8Array {
  const { family, prefix, table, scope = 0, protocol = ROUTE_PROTOCOL.boot, type = ROUTE_TYPE.unicast, flags = 0 } =
    header;
  const tail = encodeAttributes(attributes);
  const bytes = new Uint8Array(HEADER_SIZE + tail.length);
  // The table has a byte here; a greater number is in the attribute only.
  bytes.set([family, prefix, 0, 0, table > 255 ? 0 : table, protocol, scope, type]);
  viewOf(bytes).setUint32(8, flags, LITTLE_ENDIAN);
  bytes.set(tail, HEADER_SIZE);
  return bytes;
}
