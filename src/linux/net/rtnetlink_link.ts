/**
 * Network links as the kernel describes them. Pure: messages in, messages out; `rtnetlink.ts` sends them.
 *
 * @see https://man7.org/linux/man-pages/man7/rtnetlink.7.html
 * @module
 */
import type { Fd } from "../io/fd.ts";
import { formatMac, parseMac } from "./ip_address.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import {
  type Attribute,
  attribute,
  attributeMap,
  decodeAttributes,
  encodeAttributes,
  headerView,
  readNumber,
  readText,
  viewOf,
} from "./netlink.ts";

const FLAG_BITS = {
  up: 1 << 0,
  broadcast: 1 << 1,
  loopback: 1 << 3,
  pointopoint: 1 << 4,
  running: 1 << 6,
  noarp: 1 << 7,
  promisc: 1 << 8,
  allmulti: 1 << 9,
  multicast: 1 << 12,
  lowerup: 1 << 16,
} as const;

/** `IFF_*` of a link, in lower case. `up` is what the administrator asked for, `running` what it does. */
export type LinkFlag = keyof typeof FLAG_BITS;

/** `IFF_NOARP` in {@linkcode Link.rawFlags}: the link resolves no addresses. */
export const IFF_NOARP: number = FLAG_BITS.noarp;

const OPERATIONAL_STATES = ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"] as const;

/** Operational state of a link (RFC 2863). */
export type OperationalState = typeof OPERATIONAL_STATES[number];

/** A network interface. */
export interface Link {
  /** Unique within its network namespace, from 1. */
  index: number;
  name: string;
  altNames: string[];
  /** `veth`, `bridge`, `macvlan`, `tun`…; undefined for hardware and the loopback. */
  kind: string | undefined;
  /** undefined if the link has no link-layer address. */
  mac: string | undefined;
  /** Bytes. */
  mtu: number;
  flags: ReadonlySet<LinkFlag>;
  /** All `IFF_*` bits. */
  rawFlags: number;
  /** `ARPHRD_*`: 1 is Ethernet, 772 the loopback. */
  hardwareType: number;
  state: OperationalState;
  /** Index of the bridge or bond that this link is a port of. */
  master: number | undefined;
  /** Index of the link below (macvlan, vlan) or of the other end (veth), in `parentNetns` if that is set. */
  parent: number | undefined;
  /** Id, within this network namespace, of the one that `parent` is in; undefined if it is the same. */
  parentNetns: number | undefined;
  txQueueLength: number;
  txQueues: number;
  rxQueues: number;
  /** Attributes of the kind, undecoded (`IFLA_INFO_DATA`). */
  kindData: ReadonlyMap<number, Uint8Array>;
  statistics: LinkStatistics;
}

const STATISTICS = [
  "rxPackets",
  "txPackets",
  "rxBytes",
  "txBytes",
  "rxErrors",
  "txErrors",
  "rxDropped",
  "txDropped",
] as const;

/** Counts since the link was made. */
export type LinkStatistics = Record<typeof STATISTICS[number], number>;

const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  TXQLEN: 13,
  OPERSTATE: 16,
  LINKINFO: 18,
  IFALIAS: 20,
  STATS64: 23,
  NET_NS_FD: 28,
  NUM_TX_QUEUES: 31,
  NUM_RX_QUEUES: 32,
  LINK_NETNSID: 37,
  PROP_LIST: 52,
  ALT_IFNAME: 53,
} as const;
const IFLA_INFO = { KIND: 1, DATA: 2 } as const;

/** `struct ifinfomsg`: u8 family, u8 pad, u16 type, i32 index, u32 flags, u32 change. */
const HEADER_SIZE = 16;

/** Reads one `RTM_NEWLINK` message. */
export function decodeLink(payload: Uint8Array): Link {
  const view = headerView(payload, HEADER_SIZE, "link");
  const attributes = attributeMap(payload.subarray(HEADER_SIZE));
  const info = nestedMap(attributes.get(IFLA.LINKINFO));
  const address = attributes.get(IFLA.ADDRESS);
  const rawFlags = view.getUint32(8, LITTLE_ENDIAN);
  return {
    index: view.getInt32(4, LITTLE_ENDIAN),
    name: readText(attributes.get(IFLA.IFNAME)) ?? "",
    altNames: decodeAttributes(attributes.get(IFLA.PROP_LIST) ?? new Uint8Array())
      .filter(({ type }) => type === IFLA.ALT_IFNAME).map(({ value }) => readText(value)!),
    kind: readText(info.get(IFLA_INFO.KIND)),
    mac: address === undefined || address.length === 0 ? undefined : formatMac(address),
    mtu: readNumber(attributes.get(IFLA.MTU)) ?? 0,
    flags: decodeFlags(rawFlags),
    rawFlags,
    hardwareType: view.getUint16(2, LITTLE_ENDIAN),
    state: OPERATIONAL_STATES[readNumber(attributes.get(IFLA.OPERSTATE)) ?? 0] ?? "unknown",
    master: readNumber(attributes.get(IFLA.MASTER)),
    parent: readNumber(attributes.get(IFLA.LINK)),
    parentNetns: readNumber(attributes.get(IFLA.LINK_NETNSID)),
    txQueueLength: readNumber(attributes.get(IFLA.TXQLEN)) ?? 0,
    txQueues: readNumber(attributes.get(IFLA.NUM_TX_QUEUES)) ?? 1,
    rxQueues: readNumber(attributes.get(IFLA.NUM_RX_QUEUES)) ?? 1,
    kindData: nestedMap(info.get(IFLA_INFO.DATA)),
    statistics: decodeStatistics(attributes.get(IFLA.STATS64)),
  };
}

function nestedMap(value: Uint8Array | undefined): Map<number, Uint8Array> {
  return value === undefined ? new Map() : attributeMap(value);
}

function decodeFlags(raw: number): Set<LinkFlag> {
  const names = Object.keys(FLAG_BITS) as LinkFlag[];
  return new Set(names.filter((name) => raw & FLAG_BITS[name]));
}

function decodeStatistics(value: Uint8Array = new Uint8Array()): LinkStatistics {
  const view = viewOf(value);
  const counts = STATISTICS.map((name, i) => {
    const count = (i + 1) * 8 <= value.length ? Number(view.getBigUint64(i * 8, LITTLE_ENDIAN)) : 0;
    return [name, count] as const;
  });
  return Object.fromEntries(counts) as LinkStatistics;
}

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
