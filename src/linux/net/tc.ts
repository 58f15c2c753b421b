/**
 * Traffic control, as far as it joins the link of a container to the tap of its VM: whatever arrives at one leaves by
 * the other.
 *
 * @see https://man7.org/linux/man-pages/man8/tc-mirred.8.html
 * @see https://man7.org/linux/man-pages/man8/tc-u32.8.html
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import {
  type Attribute,
  attribute,
  attributeMap,
  encodeAttributes,
  headerView,
  NLM_F,
  readText,
  viewOf,
} from "./netlink.ts";
import type { Rtnetlink } from "./rtnetlink.ts";

const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_GETQDISC = 38;
const RTM_NEWTFILTER = 44;
const RTM_GETTFILTER = 46;

const TCA = { KIND: 1, OPTIONS: 2 } as const;
const TCA_U32 = { SEL: 5, ACT: 7 } as const;
const TCA_ACT = { KIND: 1, OPTIONS: 2 } as const;
const TCA_MIRRED_PARMS = 2;

/** `ffff:`, the handle that an ingress qdisc always has. */
const INGRESS_HANDLE = 0xffff0000;
const TC_H_INGRESS = 0xfffffff1;
/** ETH_P_ALL in network order: packets of every protocol. */
const ALL_PROTOCOLS = 0x0300;

/** Lets filters see what arrives at a link. @throws {ErrnoError} EEXIST: it has an ingress qdisc already. */
export function addIngress(netlink: Rtnetlink, link: number): void {
  netlink.socket.request({
    name: "RTM_NEWQDISC",
    detail: `ingress of link ${link}`,
    type: RTM_NEWQDISC,
    flags: NLM_F.CREATE | NLM_F.EXCL,
    payload: tcMessage({ link, handle: INGRESS_HANDLE, parent: TC_H_INGRESS }, [attribute.string(TCA.KIND, "ingress")]),
  });
}

/** Takes the ingress qdisc off with all its filters; a link without one, or that is gone, is no failure. */
export function removeIngress(netlink: Rtnetlink, link: number): void {
  try {
    netlink.socket.request({
      name: "RTM_DELQDISC",
      detail: `ingress of link ${link}`,
      type: RTM_DELQDISC,
      payload: tcMessage({ link, handle: INGRESS_HANDLE, parent: TC_H_INGRESS }, []),
    });
  } catch (error) {
    if (!isErrno(error, "ENOENT", "EINVAL", "ENODEV")) throw error;
  }
}

/** Kinds of what looks at packets that arrive at a link: `clsact`, or of each filter of an ingress qdisc. */
export function ingressKinds(netlink: Rtnetlink, link: number): string[] {
  const qdiscs = netlink.socket.dump({
    name: "RTM_GETQDISC",
    type: RTM_GETQDISC,
    payload: tcMessage({ link, handle: 0, parent: 0 }, []),
  }).map(({ payload }) => decodeTc(payload)).filter((qdisc) => qdisc.link === link && qdisc.parent === TC_H_INGRESS);
  const [qdisc] = qdiscs;
  if (qdisc === undefined) return [];
  if (qdisc.kind !== "ingress") return [qdisc.kind];
  const filters = netlink.socket.dump({
    name: "RTM_GETTFILTER",
    type: RTM_GETTFILTER,
    payload: tcMessage({ link, handle: 0, parent: INGRESS_HANDLE }, []),
  });
  return [...new Set(filters.map(({ payload }) => decodeTc(payload).kind))];
}

function decodeTc(payload: Uint8Array): { link: number; parent: number; kind: string } {
  const view = headerView(payload, TCMSG_SIZE, "traffic control");
  const kind = readText(attributeMap(payload.subarray(TCMSG_SIZE)).get(TCA.KIND)) ?? "";
  return { link: view.getInt32(4, LITTLE_ENDIAN), parent: view.getUint32(12, LITTLE_ENDIAN), kind };
}

/** Sends all that arrives at one link, which has an ingress qdisc, out by another. */
export function redirectIngress(netlink: Rtnetlink, { from, to }: { from: number; to: number }): void {
  netlink.socket.request({
    name: "RTM_NEWTFILTER",
    detail: `from link ${from} to link ${to}`,
    type: RTM_NEWTFILTER,
    flags: NLM_F.CREATE | NLM_F.EXCL,
    payload: tcMessage({ link: from, handle: 0, parent: INGRESS_HANDLE, info: ALL_PROTOCOLS }, redirectFilter(to)),
  });
}

/** Redirects both ways. Disposing it takes both ingress qdiscs off. */
export function crossConnect(netlink: Rtnetlink, { first, second }: { first: number; second: number }): Disposable {
  using undo = new DisposableStack();
  for (const link of [first, second]) {
    addIngress(netlink, link);
    undo.defer(() => removeIngress(netlink, link));
  }
  redirectIngress(netlink, { from: first, to: second });
  redirectIngress(netlink, { from: second, to: first });
  return undo.move();
}

/** Kind of the filters that are made here. */
export const OUR_FILTER = "u32";

/** A u32 filter, because small kernels lack `matchall`: its one key compares nothing, so it matches every packet. */
function redirectFilter(to: number): Attribute[] {
  const action = attribute.nested(1, [
    attribute.string(TCA_ACT.KIND, "mirred"),
    attribute.nested(TCA_ACT.OPTIONS, [attribute.bytes(TCA_MIRRED_PARMS, redirectParameters(to))]),
  ]);
  return [
    attribute.string(TCA.KIND, OUR_FILTER),
    attribute.nested(TCA.OPTIONS, [
      attribute.bytes(TCA_U32.SEL, matchEverything()),
      attribute.nested(TCA_U32.ACT, [action]),
    ]),
  ];
}

/** `struct tc_u32_sel` of 16 bytes and one `struct tc_u32_key` of 16 bytes. */
function matchEverything(): Uint8Array {
  const TC_U32_TERMINAL = 1;
  const bytes = new Uint8Array(32);
  bytes.set([TC_U32_TERMINAL, 0, 1 /* nkeys */]);
  return bytes;
}

/** `struct tc_mirred`: u32 index, u32 capabilities, i32 action, i32 refcnt, i32 bindcnt, i32 eaction, u32 ifindex. */
function redirectParameters(to: number): Uint8Array {
  const TC_ACT_STOLEN = 4;
  const TCA_EGRESS_REDIR = 1;
  return new Uint8Array(Uint32Array.of(0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, to).buffer);
}

interface TcHeader {
  link: number;
  handle: number;
  parent: number;
  /** Priority in the upper half (0: the kernel chooses), protocol in the lower. */
  info?: number;
}

const TCMSG_SIZE = 20;

/** `struct tcmsg`: u8 family, 3 bytes pad, i32 index, u32 handle, u32 parent, u32 info. */
function tcMessage({ link, handle, parent, info = 0 }: TcHeader, attributes: readonly Attribute[]): Uint8Array {
  const tail = encodeAttributes(attributes);
  const bytes = new Uint8Array(TCMSG_SIZE + tail.length);
  const view = viewOf(bytes);
  view.setInt32(4, link, LITTLE_ENDIAN);
  view.setUint32(8, handle, LITTLE_ENDIAN);
  view.setUint32(12, parent, LITTLE_ENDIAN);
  view.setUint32(16, info, LITTLE_ENDIAN);
  bytes.set(tail, TCMSG_SIZE);
  return bytes;
}
