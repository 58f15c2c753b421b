import assert from "node:assert/strict";
import fc from "fast-check";
import { formatIp, formatMac } from "./ip_address.ts";
import { attribute, attributeMap, encodeAttributes, readNumber, readText } from "./netlink.ts";
import { decodeAddress, encodeAddress } from "./rtnetlink_address.ts";
import { decodeLink } from "./rtnetlink_link.ts";
import { encodeLinkChange, encodeNewLink, type NewLink } from "./rtnetlink_link_change.ts";
import { decodeNeighbor, encodeNeighbor } from "./rtnetlink_neighbor.ts";
import { decodeRoute, encodeRoute } from "./rtnetlink_route.ts";
import { PASSED_ATTRIBUTES } from "./rtnetlink_route_rest.ts";
import { decodeRule } from "./rtnetlink_rule.ts";

const links = fc.integer({ min: 1, max: 0x7fffffff });
const macs = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(formatMac);
const bytes4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const addresses = fc.oneof(bytes4, bytes16).map(formatIp);
const networks = fc.oneof(
  fc.tuple(bytes4, fc.integer({ min: 1, max: 32 })),
  fc.tuple(bytes16, fc.integer({ min: 1, max: 128 })),
).map(([bytes, prefix]) => `${formatIp(bytes)}/${prefix}`);
const numbers = fc.integer({ min: 0, max: 0xffffffff });
const byteNumbers = fc.integer({ min: 0, max: 255 });

Deno.test("decodeAddress() undoes encodeAddress()", () => {
  fc.assert(fc.property(links, networks, byteNumbers, (link, address, scope) => {
    const decoded = decodeAddress(encodeAddress({ link, address, scope, flags: ["nodad"] }));
    assert.ok(decoded);
    const { flags, ...rest } = decoded;
    const family = address.includes(":") ? "inet6" : "inet";
    assert.deepEqual(rest, {
      link,
      address,
      scope,
      family,
      peer: undefined,
      broadcast: undefined,
      label: undefined,
      metric: undefined,
    });
    assert.deepEqual([...flags], ["nodad"]);
  }));
});

/** Advertised MSS and congestion control of its metrics, realms, preference. */
const rests = fc.record({ mss: numbers, flow: numbers, pref: fc.constantFrom(1, 3) }).map(({ mss, flow, pref }) =>
  encodeAttributes([
    attribute.bytes(
      PASSED_ATTRIBUTES.METRICS,
      encodeAttributes([attribute.u32(8, mss), attribute.string(16, "cubic")]),
    ),
    attribute.u32(PASSED_ATTRIBUTES.FLOW, flow),
    attribute.bytes(PASSED_ATTRIBUTES.PREF, Uint8Array.of(pref)),
  ])
);

Deno.test("kind 1: decodeRoute() undoes encodeRoute(), with a gateway of either family", () => {
  const routes = fc.record({
    destination: networks,
    gateway: addresses,
    link: links,
    priority: numbers,
    mtu: numbers,
    table: fc.integer({ min: 1, max: 0xffffffff }),
    scope: byteNumbers,
    protocol: byteNumbers,
    type: byteNumbers,
    flags: numbers,
    tos: byteNumbers,
    from: fc.option(networks, { nil: undefined }),
    rest: rests,
  });
  fc.assert(fc.property(routes, (route) => {
    const family = route.destination.includes(":") ? "inet6" : "inet";
    const plain = { source: undefined, nexthops: [] };
    assert.deepEqual(decodeRoute(encodeRoute(route)), { ...plain, ...route, family });
  }));
});

Deno.test("pods B4: decodeRoute() undoes encodeRoute() of several ways", () => {
  const nexthop = fc.record({
    gateway: fc.option(addresses, { nil: undefined }),
    link: links,
    weight: fc.integer({ min: 1, max: 256 }),
    flags: byteNumbers,
  });
  fc.assert(fc.property(networks, fc.array(nexthop, { minLength: 1, maxLength: 4 }), (destination, nexthops) => {
    const decoded = decodeRoute(encodeRoute({ destination, nexthops }))?.nexthops;
    assert.deepEqual(decoded, structuredClone(nexthops.map((one) => ({ ...one, others: [] }))));
  }));
});

Deno.test("encodeRoute() makes no destination of a prefix of 0", () => {
  assert.equal(decodeRoute(encodeRoute({ destination: "0.0.0.0/0", gateway: "10.0.0.1" }))?.destination, undefined);
  assert.equal(decodeRoute(encodeRoute({ gateway: "fd00::1" }))?.family, "inet6");
});

Deno.test("decodeNeighbor() undoes encodeNeighbor()", () => {
  const neighbors = fc.record({
    link: links,
    address: addresses,
    mac: macs,
    state: fc.integer({ min: 0, max: 0xffff }),
    flags: byteNumbers,
  });
  fc.assert(fc.property(neighbors, (neighbor) => {
    const family = neighbor.address.includes(":") ? "inet6" : "inet";
    assert.deepEqual(decodeNeighbor(encodeNeighbor(neighbor)), { ...neighbor, family });
  }));
});

Deno.test("decodeLink() reads what encodeLinkChange() writes", () => {
  const mac = "02:00:00:00:00:01";
  const link = decodeLink(encodeLinkChange(7, { name: "eth0", mac, mtu: 1400, up: true, arp: false, master: 3 }));
  assert.deepEqual([link.index, link.name, link.mac, link.mtu, link.master], [7, "eth0", mac, 1400, 3]);
  assert.deepEqual([...link.flags], ["up", "noarp"]);
});

Deno.test("encodeLinkChange() masks only the flags that it speaks of", () => {
  const view = new DataView(encodeLinkChange(1, { up: false, arp: true }).buffer);
  const isLittleEndian = true;
  assert.equal(view.getUint32(8, isLittleEndian), 0);
  assert.equal(view.getUint32(12, isLittleEndian), 1 | 0x80);
});

Deno.test.each<{ link: NewLink; attribute: number; value: number }>([
  { link: { kind: "vlan", name: "v", parent: 3, id: 100 }, attribute: 1, value: 100 },
  { link: { kind: "macvtap", name: "m", parent: 3, mode: "bridge" }, attribute: 1, value: 4 },
  { link: { kind: "ipvlan", name: "i", parent: 3, mode: "l3s" }, attribute: 1, value: 2 },
])("encodeNewLink() of $link.kind tells the kind, its parent and its own attribute", ({ link, attribute, value }) => {
  const made = decodeLink(encodeNewLink(link));
  assert.deepEqual([made.kind, made.parent, readNumber(made.kindData.get(attribute))], [link.kind, 3, value]);
});

Deno.test("encodeNewLink() of a veth holds its peer as a link of its own", () => {
  const made = decodeLink(encodeNewLink({ kind: "veth", name: "a", peer: { name: "b", mtu: 1300 } }));
  const peer = attributeMap(made.kindData.get(1)!.subarray(16));
  assert.deepEqual([readText(peer.get(3)), readNumber(peer.get(4))], ["b", 1300]);
});

Deno.test("decoders end for any bytes, with a RangeError at worst", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
    for (const decode of [decodeLink, decodeAddress, decodeRoute, decodeNeighbor]) {
      try {
        decode(bytes);
      } catch (error) {
        assert.ok(error instanceof RangeError);
      }
    }
  }));
});

Deno.test("kind 1: encodeRoute() passes on no attribute that may name a link", () => {
  const rest = encodeAttributes([attribute.u32(4, 7)]);
  assert.throws(() => encodeRoute({ destination: "10.0.0.0/8", rest }), /Cannot pass on attribute 4 of a route/);
});

Deno.test("kind 1: decodeRule() keeps all of a rule for the request that makes it again, and a priority of 0", () => {
  // From 10.1.0.0/16, not, with a mark, to table 100, out of "eth1"; "permanent" tells its state.
  const header = Uint8Array.of(2, 0, 16, 0, 100, 0, 0, 1, 1 | 2, 0, 0, 0);
  const attributes = [
    attribute.bytes(2, Uint8Array.of(10, 1, 0, 0)),
    attribute.u32(10, 7),
    attribute.string(17, "eth1"),
    attribute.u32(15, 100),
  ];
  const rule = decodeRule(Uint8Array.from([...header, ...encodeAttributes(attributes)]))!;
  assert.deepEqual([rule.family, rule.priority, rule.table], ["inet", 0, 100]);
  const kept = attributeMap(rule.message.subarray(header.length));
  assert.deepEqual([...rule.message.subarray(0, header.length)], [2, 0, 16, 0, 100, 0, 0, 1, 2, 0, 0, 0]);
  assert.deepEqual([...kept.keys()].sort((a, b) => a - b), [2, 6, 10, 15, 17]);
  assert.equal(readNumber(kept.get(6)), 0);
  assert.deepEqual(decodeRule(rule.message), rule);
});
