import assert from "node:assert/strict";
import { interfaceToWire, neighborToWire, routeToWire } from "./network.ts";

Deno.test("interfaceToWire() tells prefixes apart from addresses, and families by number", () => {
  const addresses = [
    { family: "inet", address: "10.0.0.2/24" },
    { family: "inet6", address: "fd00::2/64" },
    { family: "inet", address: "10.0.0.3", peer: "10.0.0.9/32", scope: 253, noPrefixRoute: true },
    { family: "inet", address: "10.0.0.4/8", metric: 7, label: "eth0:1", broadcast: "10.9.9.9" },
  ] as const;
  const plain = { peer: "", scope: 0, noPrefixRoute: false, metric: 0, label: "", broadcast: "" };
  const card = { name: "eth0", addresses, mtu: 1450, mac: "02:00:00:00:00:02", kind: "veth", rawFlags: 1 };
  assert.deepEqual(interfaceToWire(card), {
    device: "eth0",
    name: "eth0",
    IPAddresses: [
      { ...plain, family: 0, address: "10.0.0.2", mask: "24" },
      { ...plain, family: 1, address: "fd00::2", mask: "64" },
      { ...plain, family: 0, address: "10.0.0.3", mask: "", peer: "10.0.0.9/32", scope: 253, noPrefixRoute: true },
      { ...plain, family: 0, address: "10.0.0.4", mask: "8", metric: 7, label: "eth0:1", broadcast: "10.9.9.9" },
    ],
    mtu: 1450n,
    hwAddr: "02:00:00:00:00:02",
    devicePath: "",
    type: "veth",
    rawFlags: 1,
  });
});

Deno.test("routeToWire() writes what a route lacks as the zero of its type", () => {
  const absent = { destination: undefined, gateway: undefined, source: undefined, mtu: undefined, priority: undefined };
  const plain = {
    dest: "",
    gateway: "",
    source: "",
    mtu: 0,
    priority: 0,
    weight: 0,
    type: 0,
    table: 0,
    tos: 0,
    from: "",
    attributes: new Uint8Array(),
  };
  assert.deepEqual(routeToWire({ ...absent, device: "eth0", family: "inet6", scope: 253, flags: 4 }), {
    ...plain,
    device: "eth0",
    family: 1,
    scope: 253,
    flags: 4,
  });
  const route = { destination: "10.5.0.0/16", gateway: "10.0.0.1", source: "10.0.0.2", mtu: 1400, priority: 7 };
  const { dest, gateway, source, mtu, priority } = routeToWire({
    ...route,
    device: "eth0",
    family: "inet",
    scope: 0,
    flags: 0,
  });
  assert.deepEqual({ destination: dest, gateway, source, mtu, priority }, route);
});

Deno.test("pods B4: routeToWire() tells the share of one of several ways, and of a type if it is not unicast", () => {
  const absent = { destination: undefined, gateway: undefined, source: undefined, mtu: undefined, priority: undefined };
  const route = { ...absent, device: "eth0", family: "inet", scope: 0, flags: 0 } as const;
  const told = [{ weight: 2 }, { type: 6 }, { type: 1 }].map((more) => routeToWire({ ...route, ...more }));
  assert.deepEqual(told.map(({ weight, type }) => [weight, type]), [[2, 0], [0, 6], [0, 0]]);
});

Deno.test("neighborToWire() keeps address, hardware address, state and flags", () => {
  const entry = { device: "eth0", mac: "02:00:00:00:00:99", state: 0x80, flags: 2 };
  assert.deepEqual(neighborToWire({ ...entry, family: "inet6", address: "fe80::1" }), {
    toIPAddress: { family: 1, address: "fe80::1" },
    device: "eth0",
    lladdr: "02:00:00:00:00:99",
    state: 0x80,
    flags: 2,
  });
});
