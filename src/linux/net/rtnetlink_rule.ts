/**
 * Rules that choose a table of routes, as the kernel describes them. Pure; `rtnetlink.ts` sends them.
 *
 * @see https://man7.org/linux/man-pages/man8/ip-rule.8.html
 * @module
 */
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { FAMILIES, type Family, familyOf } from "./ip_address.ts";
import { attributeMap, headerView, readNumber } from "./netlink.ts";

export interface Rule {
  family: Family;
  /** Lower is asked first. */
  priority: number;
  /** Table that it leads to; 0 for another action. */
  table: number;
}

const FRA = { PRIORITY: 6, TABLE: 15 } as const;

/** `struct fib_rule_hdr`: u8 family, dst_len, src_len, tos, table, 2 reserved, action; u32 flags. */
const HEADER_SIZE = 12;

/** Reads one `RTM_NEWRULE` message; undefined if it is not about IP. */
export function decodeRule(payload: Uint8Array): Rule | undefined {
  const view = headerView(payload, HEADER_SIZE, "rule");
  const family = familyOf(view.getUint8(0));
  if (family === undefined) return undefined;
  const attributes = attributeMap(payload.subarray(HEADER_SIZE));
  return {
    family,
    priority: readNumber(attributes.get(FRA.PRIORITY)) ?? 0,
    table: readNumber(attributes.get(FRA.TABLE)) ?? view.getUint8(4),
  };
}

/** The payload of an `RTM_GETRULE` dump. */
export function encodeRuleFilter(family: Family): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  new DataView(bytes.buffer).setUint32(0, FAMILIES[family], LITTLE_ENDIAN);
  return bytes;
}
