/**
 * Network links as the kernel describes them. Pure: `rtnetlink_link_change.ts` words changes, `rtnetlink.ts`
 * sends them.
 *
 * @see https://man7.org/linux/man-pages/man7/rtnetlink.7.html
 * @module
 */
import { formatMac } from "./ip_address.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { attributeMap, decodeAttributes, headerView, readNumber, readText, viewOf } from "./netlink.ts";

/** `IFF_*` by their names in {@linkcode Link.flags}. */
export const FLAG_BITS = {
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
  /** Number by which rules choose it; 0 is the default. */
  group: number;
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

/** Attributes of a link. */
export const IFLA = {
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
  GROUP: 27,
  NET_NS_FD: 28,
  NUM_TX_QUEUES: 31,
  NUM_RX_QUEUES: 32,
  LINK_NETNSID: 37,
  PROP_LIST: 52,
  ALT_IFNAME: 53,
} as const;
/** Attributes of its kind. */
export const IFLA_INFO = { KIND: 1, DATA: 2 } as const;

/** `struct ifinfomsg`: u8 family, u8 pad, u16 type, i32 index, u32 flags, u32 change. */
export const HEADER_SIZE = 16;

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
    group: readNumber(attributes.get(IFLA.GROUP)) ?? 0,
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
