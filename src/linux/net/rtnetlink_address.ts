/**
 * Addresses of links as the kernel describes them. Pure; `rtnetlink.ts` sends them.
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
  readText,
  viewOf,
} from "./netlink.ts";

const FLAG_BITS = {
  secondary: 0x01,
  nodad: 0x02,
  optimistic: 0x04,
  dadfailed: 0x08,
  homeaddress: 0x10,
  deprecated: 0x20,
  tentative: 0x40,
  permanent: 0x80,
  noprefixroute: 0x200,
} as const;

/** `IFA_F_*` in lower case. */
export type AddressFlag = keyof typeof FLAG_BITS;

/** How far an address or a route is valid; the numbers of the kernel. */
export const SCOPE = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;

/** An address of a link. */
export interface Address {
  /** Index of the link. */
  link: number;
  family: Family;
  /** With the prefix of its network: `10.88.0.2/24`. */
  address: string;
  /** The other end of a point-to-point link, with the prefix. */
  peer: string | undefined;
  broadcast: string | undefined;
  /** One of {@linkcode SCOPE}, or another number. */
  scope: number;
  /** Name of it; the kernel's default is the link's. */
  label: string | undefined;
  /** Of the route that the kernel makes for its network; undefined: the default. */
  metric: number | undefined;
  flags: ReadonlySet<AddressFlag>;
}

/** An address to be added or deleted. */
export interface NewAddress {
  link: number;
  /** `10.88.0.2/24`; a single host without a prefix. */
  address: string;
  peer?: string;
  broadcast?: string;
  scope?: number;
  label?: string;
  metric?: number;
  /** `nodad`: an IPv6 address works at once, without looking for a duplicate. */
  flags?: readonly AddressFlag[];
}

const IFA = { ADDRESS: 1, LOCAL: 2, LABEL: 3, BROADCAST: 4, FLAGS: 8, RT_PRIORITY: 9 } as const;

/** `struct ifaddrmsg`: u8 family, u8 prefix length, u8 flags, u8 scope, u32 index. */
const HEADER_SIZE = 8;

/** Reads one `RTM_NEWADDR` message; undefined if it is not about IP. */
export function decodeAddress(payload: Uint8Array): Address | undefined {
  const view = headerView(payload, HEADER_SIZE, "address");
  const family = familyOf(view.getUint8(0));
  const attributes = attributeMap(payload.subarray(HEADER_SIZE));
  const remote = attributes.get(IFA.ADDRESS);
  const local = attributes.get(IFA.LOCAL) ?? remote;
  if (family === undefined || local === undefined || remote === undefined) return undefined;
  const prefix = view.getUint8(1);
  const broadcast = attributes.get(IFA.BROADCAST);
  const flags = readNumber(attributes.get(IFA.FLAGS)) ?? view.getUint8(2);
  const isPeer = formatIp(local) !== formatIp(remote);
  return {
    link: view.getUint32(4, LITTLE_ENDIAN),
    family,
    // Beside a peer, the prefix is that of the peer.
    address: formatCidr({ bytes: local, prefix: isPeer ? local.length * 8 : prefix }),
    peer: isPeer ? formatCidr({ bytes: remote, prefix }) : undefined,
    broadcast: broadcast === undefined ? undefined : formatIp(broadcast),
    scope: view.getUint8(3),
    label: readText(attributes.get(IFA.LABEL)),
    metric: readNumber(attributes.get(IFA.RT_PRIORITY)),
    flags: new Set((Object.keys(FLAG_BITS) as AddressFlag[]).filter((flag) => flags & FLAG_BITS[flag])),
  };
}

/** The payload of `RTM_NEWADDR` and `RTM_DELADDR`. */
export function encodeAddress({ link, address, peer, scope = 0, flags = [], ...rest }: NewAddress): Uint8Array {
  const { broadcast, label, metric } = rest;
  const own = parseCidr(address);
  const remote = peer === undefined ? own : parseCidr(peer);
  const bits = flags.reduce((sum, flag) => sum | FLAG_BITS[flag], 0);
  const attributes: Attribute[] = [
    attribute.bytes(IFA.LOCAL, own.bytes),
    attribute.bytes(IFA.ADDRESS, remote.bytes),
    ...(broadcast === undefined ? [] : [attribute.bytes(IFA.BROADCAST, parseIp(broadcast))]),
    ...(label === undefined ? [] : [attribute.string(IFA.LABEL, label)]),
    ...(metric === undefined ? [] : [attribute.u32(IFA.RT_PRIORITY, metric)]),
    ...(bits === 0 ? [] : [attribute.u32(IFA.FLAGS, bits)]),
  ];
  const header = { family: FAMILIES[ipFamily(address)], prefix: remote.prefix, scope, link };
  return withHeader(header, attributes);
}

/** The payload of an `RTM_GETADDR` dump. */
export function encodeAddressFilter({ link = 0, family }: { link?: number; family?: Family }): Uint8Array {
  return withHeader({ family: family === undefined ? 0 : FAMILIES[family], prefix: 0, scope: 0, link }, []);
}

interface AddressHeader {
  family: number;
  prefix: number;
  scope: number;
  link: number;
}

function withHeader({ family, prefix, scope, link }: AddressHeader, attributes: readonly Attribute[]): Uint8Array {
  const tail = encodeAttributes(attributes);
  const bytes = new Uint8Array(HEADER_SIZE + tail.length);
  bytes.set([family, prefix, 0, scope]);
  viewOf(bytes).setUint32(4, link, LITTLE_ENDIAN);
  bytes.set(tail, HEADER_SIZE);
  return bytes;
}
