import assert from "node:assert/strict";
import type { Address, Link, Neighbor, Route } from "../../linux/net/rtnetlink.ts";
import { describeNetwork, gatewaysOf, guestLinks, refuseStrange } from "./scan.ts";

const ETHER = 1;

function link(index: number, name: string, change: Partial<Link> = {}): Link {
  return {
    index,
    name,
    altNames: [],
    kind: "veth",
    mac: `02:00:00:00:00:0${index}`,
    mtu: 1450,
    flags: new Set(["up"]),
    rawFlags: 1,
    hardwareType: ETHER,
    state: "up",
    master: undefined,
    group: 0,
    parent: undefined,
    parentNetns: undefined,
    txQueueLength: 1000,
    txQueues: 1,
    rxQueues: 1,
    kindData: new Map(),
    statistics: {} as Link["statistics"],
    ...change,
  };
}

function address(text: string, change: Partial<Address> = {}): Address {
  const family = text.includes(":") ? "inet6" : "inet";
  return {
    link: 2,
    family,
    address: text,
    peer: undefined,
    broadcast: undefined,
    scope: 0,
    label: "eth0",
    flags: new Set(),
    metric: undefined,
    ...change,
  };
}

/** Of an address as told. */
const NOTHING_MORE = { metric: undefined, label: undefined, broadcast: undefined };

function route(change: Partial<Route>): Route {
  return {
    family: "inet",
    destination: undefined,
    gateway: undefined,
    link: 2,
    source: undefined,
    priority: undefined,
    mtu: undefined,
    table: 254,
    scope: 0,
    protocol: 3,
    type: 1,
    flags: 0,
    nexthops: [],
    tos: 0,
    from: undefined,
    rest: new Uint8Array(),
    ...change,
  };
}

function neighbor(text: string, state: number, mac = "02:00:00:00:00:99"): Neighbor {
  return { link: 2, family: "inet", address: text, mac, state, flags: 0 };
}

const LOOPBACK = link(1, "lo", { kind: undefined, hardwareType: 772 });

Deno.test("guestLinks() takes all links in use, and leaves the loopback, unused links and our own taps", () => {
  const links = [
    LOOPBACK,
    link(2, "eth0"),
    link(3, "tap0", { kind: "tun" }),
    link(4, "tunl0", { kind: "ipip", hardwareType: 768, flags: new Set() }),
    link(5, "erspan0", { kind: "erspan", flags: new Set() }),
    link(6, "tap0_kata", { kind: "tun" }),
    link(7, "late", { flags: new Set() }),
    link(8, "wg0", { kind: "wireguard", hardwareType: 65534 }),
    link(9, "sit1", { kind: "sit", hardwareType: 776, flags: new Set() }),
  ];
  const addresses = [address("10.0.0.2/24", { link: 7 }), address("10.9.0.2/24", { link: 9 })];
  assert.deepEqual(guestLinks({ links, addresses }).map(({ name }) => name), ["eth0", "tap0", "late", "wg0", "sit1"]);
});

Deno.test("refuseStrange() refuses a link that cannot be joined, by its name and kind", () => {
  refuseStrange(link(2, "net1", { kind: "veth" }));
  assert.throws(() => refuseStrange(link(2, "net1", { kind: "ipvlan" })), {
    code: "UNIMPLEMENTED",
    message: 'Cannot join interface "net1" to the VM: its kind is ipvlan; a VM takes veth, macvlan and tap; ' +
      "make others on the host, or by a container of the pod",
  });
});

Deno.test.each(["wireguard", "tun", "ipip", "veth"])(
  "kind 1: refuseStrange() refuses a %s that is no Ethernet",
  (kind) => {
    assert.throws(() => refuseStrange(link(2, "net1", { kind, hardwareType: 65534 })), {
      code: "UNIMPLEMENTED",
      message: new RegExp(`"net1" to the VM: its kind is ${kind}, without Ethernet frames; a VM takes`),
    });
  },
);

Deno.test("gatewaysOf() names each gateway of a link once", () => {
  const routes = [
    route({ gateway: "10.0.0.1" }),
    route({ gateway: "10.0.0.1", destination: "10.1.0.0/16" }),
    route({ gateway: "10.9.0.1", link: 3 }),
  ];
  assert.deepEqual(gatewaysOf({ routes }, 2), ["10.0.0.1"]);
});

Deno.test("describeNetwork() keeps name, MTU, hardware address and addresses, but for what follows from that", () => {
  const eth0 = link(2, "eth0");
  const plain = { ...NOTHING_MORE, peer: undefined, scope: 0, noPrefixRoute: false };
  const addresses = [
    address("10.0.0.2/24"),
    address("fd00::2/64"),
    address("fe80::ff:fe00:2/64", { scope: 253 }),
    address("127.0.0.1/8", { link: 1 }),
  ];
  const { interfaces } = describeNetwork({ links: [LOOPBACK, eth0], addresses, routes: [], neighbors: [], rules: [] }, [
    eth0,
  ]);
  assert.deepEqual(interfaces, [{
    name: "eth0",
    addresses: [
      { family: "inet", address: "10.0.0.2/24", ...plain },
      { family: "inet6", address: "fd00::2/64", ...plain },
    ],
    mtu: 1450,
    mac: "02:00:00:00:00:02",
    kind: "veth",
    rawFlags: 1,
  }]);
});

Deno.test("kind 1: describeNetwork() passes routes of all tables on, without those that follow from addresses", () => {
  const rest = Uint8Array.of(1);
  const eth0 = link(2, "eth0");
  const routes = [
    route({ gateway: "10.0.0.1", mtu: 1400, flags: 4 | 16 }),
    route({ destination: "10.0.0.0/24", protocol: 2, scope: 253 }),
    route({ destination: "10.0.0.2/32", table: 255, type: 2 }),
    route({ destination: "10.5.0.0/16", scope: 253, source: "10.0.0.2" }),
    route({ family: "inet6", gateway: "fe80::1", priority: 1024 }),
    route({ gateway: "10.9.0.1", link: 9 }),
    route({ destination: "10.7.0.0/16", type: 6 }),
    route({ table: 100, tos: 16, from: "fd00::/8", rest }),
  ];
  const found = describeNetwork({ links: [eth0], addresses: [], routes, neighbors: [], rules: [] }, [eth0]).routes;
  const plain = {
    device: "eth0",
    family: "inet",
    destination: undefined,
    gateway: undefined,
    source: undefined,
    mtu: undefined,
    priority: undefined,
    scope: 0,
    flags: 0,
    type: 1,
    weight: undefined,
    table: 254,
    tos: 0,
    from: undefined,
    rest: new Uint8Array(),
  };
  assert.deepEqual(found, [
    { ...plain, gateway: "10.0.0.1", mtu: 1400, flags: 4 },
    { ...plain, destination: "10.5.0.0/16", scope: 253, source: "10.0.0.2" },
    { ...plain, family: "inet6", gateway: "fe80::1", priority: 1024 },
    { ...plain, device: "", destination: "10.7.0.0/16", type: 6 },
    { ...plain, table: 100, tos: 16, from: "fd00::/8", rest },
  ]);
});

Deno.test("pods B4: describeNetwork() passes a route over several links on, a route for each that the guest has", () => {
  const links = [link(2, "eth0"), link(3, "eth1")];
  const nexthops = [
    { link: 2, gateway: "10.0.0.1", weight: 1, flags: 16, others: [] },
    { link: 3, gateway: "10.1.0.1", weight: 3, flags: 4, others: [] },
    { link: 9, gateway: "10.9.0.1", weight: 1, flags: 0, others: [] },
  ];
  const content = { links, addresses: [], routes: [route({ link: undefined, nexthops })], neighbors: [], rules: [] };
  const { routes } = describeNetwork(content, links);
  assert.deepEqual(routes.map(({ device, gateway, weight, flags }) => [device, gateway, weight, flags]), [
    ["eth0", "10.0.0.1", 1, 0],
    ["eth1", "10.1.0.1", 3, 4],
  ]);
  assert.deepEqual(gatewaysOf(content, 3), ["10.1.0.1"], "its hardware address is asked for");
});

Deno.test("pods B4: describeNetwork() passes on what is special about an address", () => {
  const eth0 = link(2, "eth0");
  const addresses = [
    address("10.0.0.2/32", { peer: "10.0.0.1/32", scope: 253 }),
    address("fd00::2/64", { flags: new Set(["noprefixroute"]) }),
    address("fe80::2/64", { scope: 253 }),
    address("10.3.0.2/24", { metric: 7, label: "eth0:1", broadcast: "10.3.0.9" }),
  ];
  const { interfaces: [found] } = describeNetwork({ links: [eth0], addresses, routes: [], neighbors: [], rules: [] }, [
    eth0,
  ]);
  assert.deepEqual(found?.addresses, [
    { family: "inet", address: "10.0.0.2/32", peer: "10.0.0.1/32", scope: 253, noPrefixRoute: false, ...NOTHING_MORE },
    { family: "inet6", address: "fd00::2/64", peer: undefined, scope: 0, noPrefixRoute: true, ...NOTHING_MORE },
    { family: "inet6", address: "fe80::2/64", peer: undefined, scope: 253, noPrefixRoute: false, ...NOTHING_MORE },
    {
      family: "inet",
      address: "10.3.0.2/24",
      peer: undefined,
      scope: 0,
      noPrefixRoute: false,
      metric: 7,
      label: "eth0:1",
      broadcast: "10.3.0.9",
    },
  ]);
});

Deno.test("pods B3: describeNetwork() passes set neighbours on as set, and of a gateway what the host has learnt, to be asked again", () => {
  const eth0 = link(2, "eth0");
  const [REACHABLE, STALE, FAILED, PERMANENT] = [2, 4, 0x20, 0x80];
  const neighbors = [
    neighbor("10.0.0.1", REACHABLE),
    neighbor("10.0.0.7", REACHABLE),
    neighbor("10.0.0.8", PERMANENT),
    neighbor("10.0.0.3", FAILED),
    neighbor("10.0.0.4", STALE),
  ];
  const routes = [route({ gateway: "10.0.0.1" }), route({ gateway: "10.0.0.3", destination: "10.3.0.0/16" })];
  const found = describeNetwork({ links: [eth0], addresses: [], routes, neighbors, rules: [] }, [eth0]).neighbors;
  assert.deepEqual(found.map(({ address, state }) => [address, state]), [
    ["10.0.0.1", STALE],
    ["10.0.0.8", PERMANENT],
  ]);
});

Deno.test("kind 1: describeNetwork() passes on the rules that somebody has added", () => {
  const rule = (priority: number, table: number) =>
    ({ family: "inet", priority, table, message: Uint8Array.of(priority & 255) }) as const;
  const rules = [rule(0, 255), rule(100, 100), rule(200, 254), rule(32766, 254), rule(32767, 253)];
  const found = describeNetwork({ links: [], addresses: [], routes: [], neighbors: [], rules }, []);
  assert.deepEqual(found.rules, [Uint8Array.of(100), Uint8Array.of(200)]);
});
