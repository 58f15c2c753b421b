/**
 * Attributes of a route that are passed on as they are: none of them names a link, so they mean the same to another
 * kernel. Pure.
 *
 * @module
 */
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { type Attribute, attribute, attributeMap, decodeAttributes, encodeAttributes, viewOf } from "./netlink.ts";

/** Numbers (`RTA_*`) by their names. */
export const PASSED_ATTRIBUTES = {
  METRICS: 8,
  FLOW: 11,
  PREF: 20,
  ENCAP_TYPE: 21,
  ENCAP: 22,
  EXPIRES: 23,
  TTL_PROPAGATE: 26,
  FLOWLABEL: 31,
} as const;

const CACHEINFO = 12;
const RTAX_MTU = 2;
const PASSED: ReadonlySet<number> = new Set(Object.values(PASSED_ATTRIBUTES));
/** The kernel's clock for users: ticks in a second. */
const USER_HZ = 100;

/** @param attributes Of a route. @returns Encoded; empty if it has none but those with fields of their own. */
export function restOf(attributes: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const rest: Attribute[] = [];
  for (const [type, value] of attributes) {
    if (type === PASSED_ATTRIBUTES.METRICS) rest.push(...otherMetrics(value));
    // Medium is what a route has of which nobody said anything.
    else if (type === PASSED_ATTRIBUTES.PREF) rest.push(...(value[0] === 0 ? [] : [{ type, value }]));
    else if (PASSED.has(type)) rest.push({ type, value });
  }
  return encodeAttributes([...rest, ...lifetime(attributes.get(CACHEINFO))]);
}

/** The MTU has a field of its own. */
function otherMetrics(value: Uint8Array): Attribute[] {
  const others = decodeAttributes(value).filter(({ type }) => type !== RTAX_MTU);
  return others.length === 0 ? [] : [{ type: PASSED_ATTRIBUTES.METRICS, value: encodeAttributes(others) }];
}

/** `struct rta_cacheinfo`: what a dump says of a route's end, in ticks from now; a request says it in seconds. */
function lifetime(cache: Uint8Array | undefined): Attribute[] {
  const ticks = cache === undefined || cache.length < 12 ? 0 : viewOf(cache).getInt32(8, LITTLE_ENDIAN);
  return ticks <= 0 ? [] : [attribute.u32(PASSED_ATTRIBUTES.EXPIRES, Math.ceil(ticks / USER_HZ))];
}

/**
 * The rest as attributes of a request, the MTU among the metrics.
 *
 * @throws {RangeError} It holds an attribute that is none to pass on, or ends within one.
 */
export function withRest(rest: Uint8Array, mtu: number | undefined): Attribute[] {
  const all = attributeMap(rest);
  for (const type of all.keys()) {
    if (!PASSED.has(type)) throw new RangeError(`Cannot pass on attribute ${type} of a route: it may name a link`);
  }
  const metrics = [
    ...(mtu === undefined ? [] : [attribute.u32(RTAX_MTU, mtu)]),
    ...decodeAttributes(all.get(PASSED_ATTRIBUTES.METRICS) ?? new Uint8Array()),
  ];
  all.delete(PASSED_ATTRIBUTES.METRICS);
  return [
    ...(metrics.length === 0 ? [] : [attribute.nested(PASSED_ATTRIBUTES.METRICS, metrics)]),
    ...Array.from(all, ([type, value]) => ({ type, value })),
  ];
}
