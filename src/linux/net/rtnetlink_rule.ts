/**
 * Rules that choose a table of routes, as the kernel describes them. Pure; `rtnetlink.ts` sends them.
 *
 * @see https://man7.org/linux/man-pages/man8/ip-rule.8.html
 * @module
 */
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { FAMILIES, type Family, familyOf } from "./ip_address.ts";
import { attribute, attributeMap, encodeAttributes, headerView, readNumber, viewOf } from "./netlink.ts";

export interface Rule {
  family: Family;
  /** Lower is asked first. */
  priority: number;
  /** Table that it leads to; 0 for another action. */
  table: number;
  /** The payload of a request that makes it again, whatever it says: it names links by their names only. */
  message: Uint8Array;
}

const FRA = { PRIORITY: 6, TABLE: 15, PAD: 18 } as const;
/** All other flags tell the rule's state. */
const FIB_RULE_INVERT = 2;

/** `struct fib_rule_hdr`: u8 family, dst_len, src_len, tos, table, 2 reserved, action; u32 flags. */
const HEADER_SIZE = 12;

/** Reads one `RTM_NEWRULE` message; undefined if it is not about IP. */
export function decodeRule(payload: Uint8Array): Rule | undefined {
  const view = headerView(payload, HEADER_SIZE, "rule");
  const family = familyOf(view.getUint8(0));
  if (family === undefined) return undefined;
  const attributes = attributeMap(payload.subarray(HEADER_SIZE));
  const priority = readNumber(attributes.get(FRA.PRIORITY)) ?? 0;
  const table = readNumber(attributes.get(FRA.TABLE)) ?? view.getUint8(4);
  return { family, priority, table, message: encodeRule(payload.slice(0, HEADER_SIZE), attributes, priority) };
}

/** The kernel leaves out a priority of 0, and takes a request without one as asking for any. */
function encodeRule(header: Uint8Array, attributes: ReadonlyMap<number, Uint8Array>, priority: number): Uint8Array {
  const view = viewOf(header);
  view.setUint32(8, view.getUint32(8, LITTLE_ENDIAN) & FIB_RULE_INVERT, LITTLE_ENDIAN);
  const others = Array.from(attributes, ([type, value]) => ({ type, value })).filter(({ type }) =>
    type !== FRA.PRIORITY && type !== FRA.PAD
  );
  const all = [attribute.u32(FRA.PRIORITY, priority), ...others];
  return Uint8Array.from([...header, ...encodeAttributes(all)]);
}

/** @throws {RangeError} It is no rule about IP. */
export function verifyRule(message: Uint8Array): Uint8Array {
  if (decodeRule(message) === undefined) throw new RangeError("Cannot use a rule that is not about IP");
  return message;
}

/** The payload of an `RTM_GETRULE` dump. */
export function encodeRuleFilter(family: Family): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  new DataView(bytes.buffer).setUint32(0, FAMILIES[family], LITTLE_ENDIAN);
  return bytes;
}
