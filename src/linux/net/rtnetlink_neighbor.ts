/**
 * Entries of the ARP and neighbour discovery tables. Pure; `rtnetlink.ts` sends them.
 *
 * @module
 */
import { FAMILIES, type Family, familyOf, formatIp, formatMac, ipFamily, parseIp, parseMac } from "./ip_address.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { attribute, attributeMap, encodeAttributes, headerView, viewOf } from "./netlink.ts";

/** State of a neighbour's hardware address in the kernel's table (`NUD_*`). */
export const NEIGHBOR_STATE = {
  incomplete: 0x01,
  reachable: 0x02,
  stale: 0x04,
  delay: 0x08,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80,
} as const;

/** An entry of the neighbour table: the hardware address for an IP address on a link. */
export interface Neighbor {
  /** Index of the link. */
  link: number;
  family: Family;
  address: string;
  mac: string | undefined;
  /** One of {@linkcode NEIGHBOR_STATE}. */
  state: number;
  /** `NTF_*` bits. */
  flags: number;
}

/** An entry to be set or deleted. */
export interface NewNeighbor {
  link: number;
  address: string;
  mac?: string;
  /** `permanent` if absent. */
  state?: number;
  flags?: number;
}

const NDA_DST = 1;
const NDA_LLADDR = 2;

/** `struct ndmsg`: u8 family, 3 bytes pad, i32 index, u16 state, u8 flags, u8 type. */
const HEADER_SIZE = 12;

/** Reads one `RTM_NEWNEIGH` message; undefined if it is not about IP. */
export function decodeNeighbor(payload: Uint8Array): Neighbor | undefined {
  const view = headerView(payload, HEADER_SIZE, "neighbor");
  const family = familyOf(view.getUint8(0));
  const attributes = attributeMap(payload.subarray(HEADER_SIZE));
  const address = attributes.get(NDA_DST);
  if (family === undefined || address === undefined) return undefined;
  const mac = attributes.get(NDA_LLADDR);
  return {
    link: view.getInt32(4, LITTLE_ENDIAN),
    family,
    address: formatIp(address),
    mac: mac === undefined ? undefined : formatMac(mac),
    state: view.getUint16(8, LITTLE_ENDIAN),
    flags: view.getUint8(10),
  };
}

/** The payload of `RTM_NEWNEIGH` and `RTM_DELNEIGH`. */
export function encodeNeighbor(neighbor: NewNeighbor): Uint8Array {
  const { link, address, mac, state = NEIGHBOR_STATE.permanent, flags = 0 } = neighbor;
  const tail = encodeAttributes([
    attribute.bytes(NDA_DST, parseIp(address)),
    ...(mac === undefined ? [] : [attribute.bytes(NDA_LLADDR, parseMac(mac))]),
  ]);
  const bytes = new Uint8Array(HEADER_SIZE + tail.length);
  const view = viewOf(bytes);
  view.setUint8(0, FAMILIES[ipFamily(address)]);
  view.setInt32(4, link, LITTLE_ENDIAN);
  view.setUint16(8, state, LITTLE_ENDIAN);
  view.setUint8(10, flags);
  bytes.set(tail, HEADER_SIZE);
  return bytes;
}

/** The payload of an `RTM_GETNEIGH` dump. */
export function encodeNeighborFilter({ family }: { family?: Family }): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  bytes[0] = family === undefined ? 0 : FAMILIES[family];
  return bytes;
}
