/**
 * Messages that make, change or name a link. Pure; `rtnetlink.ts` sends them.
 *
 * @see https://man7.org/linux/man-pages/man7/rtnetlink.7.html
 * @module
 */
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import type { Fd } from "../io/fd.ts";
import { parseMac } from "./ip_address.ts";
import { type Attribute, attribute, encodeAttributes, viewOf } from "./netlink.ts";
import { FLAG_BITS, HEADER_SIZE, IFLA, IFLA_INFO, type LinkFlag } from "./rtnetlink_link.ts";

/** Changes to a link; a property that is absent stays. */
export interface LinkChange {
  name?: string;
  mac?: string;
  mtu?: number;
  up?: boolean;
  /** false sets `IFF_NOARP`. */
  arp?: boolean;
  promiscuous?: boolean;
  /** Index of a bridge; 0 takes the link out of its bridge. */
  master?: number;
  txQueueLength?: number;
  /** Moves the link: it goes down, loses its addresses and may get another index. */
  netns?: Fd;
}

/** The payload of an `RTM_NEWLINK` that changes a link. */
export function encodeLinkChange(index: number, change: LinkChange): Uint8Array {
  return withHeader({ index, ...changedFlags(change) }, changedAttributes(change));
}

function changedAttributes({ name, mac, mtu, master, txQueueLength, netns }: LinkChange): Attribute[] {
  return [
    ...(name === undefined ? [] : [attribute.string(IFLA.IFNAME, name)]),
    ...(mac === undefined ? [] : [attribute.bytes(IFLA.ADDRESS, parseMac(mac))]),
    ...(mtu === undefined ? [] : [attribute.u32(IFLA.MTU, mtu)]),
    ...(master === undefined ? [] : [attribute.u32(IFLA.MASTER, master)]),
    ...(txQueueLength === undefined ? [] : [attribute.u32(IFLA.TXQLEN, txQueueLength)]),
    ...(netns === undefined ? [] : [attribute.u32(IFLA.NET_NS_FD, netns.number)]),
  ];
}

function changedFlags({ up, arp, promiscuous }: LinkChange): { flags: number; mask: number } {
  const wanted = { up, noarp: arp === undefined ? undefined : !arp, promisc: promiscuous } as const;
  let [flags, mask] = [0, 0];
  for (const [name, on] of Object.entries(wanted) as [LinkFlag, boolean | undefined][]) {
    if (on !== undefined) mask |= FLAG_BITS[name];
    if (on) flags |= FLAG_BITS[name];
  }
  return { flags, mask };
}

/** A link to be made. */
export type NewLink = LinkChange & { name: string } & LinkKind;

/** Kind of a link, with the parameters of this kind. */
export type LinkKind =
  | { kind: "bridge" }
  | { kind: "dummy" }
  | { kind: "ifb" }
  | { kind: "veth"; peer: Omit<LinkChange, "up"> & { name: string } } // the kernel cannot open it that early
  | { kind: "vlan"; parent: number; id: number }
  | { kind: "macvlan" | "macvtap"; parent: number; mode: keyof typeof MACVLAN_MODES }
  | { kind: "ipvlan"; parent: number; mode: keyof typeof IPVLAN_MODES };

const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
const IPVLAN_MODES = { l2: 0, l3: 1, l3s: 2 } as const;
const VETH_INFO_PEER = 1;
const IFLA_VLAN_ID = 1;
const IFLA_MACVLAN_MODE = 1;
const IFLA_IPVLAN_MODE = 1;

/** The payload of an `RTM_NEWLINK` that makes a link. */
export function encodeNewLink(link: NewLink): Uint8Array {
  const data = kindAttributes(link);
  const info = attribute.nested(IFLA.LINKINFO, [
    attribute.string(IFLA_INFO.KIND, link.kind),
    ...(data.length === 0 ? [] : [attribute.nested(IFLA_INFO.DATA, data)]),
  ]);
  const parent = "parent" in link ? [attribute.u32(IFLA.LINK, link.parent)] : [];
  return withHeader({ index: 0, ...changedFlags(link) }, [...changedAttributes(link), ...parent, info]);
}

function kindAttributes(link: NewLink): Attribute[] {
  switch (link.kind) {
    case "bridge":
    case "dummy":
    case "ifb":
      return [];
    case "veth":
      return [attribute.bytes(VETH_INFO_PEER, encodeLinkChange(0, link.peer))];
    case "vlan":
      return [attribute.u16(IFLA_VLAN_ID, link.id)];
    case "macvlan":
    case "macvtap":
      return [attribute.u32(IFLA_MACVLAN_MODE, MACVLAN_MODES[link.mode])];
    case "ipvlan":
      return [attribute.u16(IFLA_IPVLAN_MODE, IPVLAN_MODES[link.mode])];
  }
}

/** Names one link in a question or a deletion: by index, or by name. */
export function encodeLinkKey(key: number | string): Uint8Array {
  if (typeof key === "number") return withHeader({ index: key }, []);
  return withHeader({ index: 0 }, [attribute.string(IFLA.IFNAME, key)]);
}

interface LinkHeader {
  index: number;
  flags?: number;
  mask?: number;
}

function withHeader({ index, flags = 0, mask = 0 }: LinkHeader, attributes: readonly Attribute[]): Uint8Array {
  const tail = encodeAttributes(attributes);
  const bytes = new Uint8Array(HEADER_SIZE + tail.length);
  const view = viewOf(bytes);
  view.setInt32(4, index, LITTLE_ENDIAN);
  view.setUint32(8, flags, LITTLE_ENDIAN);
  view.setUint32(12, mask, LITTLE_ENDIAN);
  bytes.set(tail, HEADER_SIZE);
  return bytes;
}
