import assert from "node:assert/strict";
import type { GuestInterface, GuestNetwork, GuestRoute } from "../../agent_api/network.ts";
import { changesOf, isNothing, NOTHING_TOLD, type Told } from "./changes.ts";

function card(name: string, ...addresses: string[]): GuestInterface {
  return {
    name,
    addresses: addresses.map((address) => ({ family: "inet", address })),
    mtu: 1500,
    mac: `02:00:00:00:00:0${name.at(-1)}`,
    kind: "veth",
    rawFlags: 1,
  };
}

function route(device: string, destination: string | undefined, more: Partial<GuestRoute> = {}): GuestRoute {
  const same = { family: "inet", source: undefined, mtu: undefined, priority: undefined, scope: 0, flags: 0 } as const;
  return { ...same, device, destination, gateway: "10.0.0.1", ...more };
}

/** @param lasting Default: all of it. */
function told(interfaces: readonly GuestInterface[], routes: readonly GuestRoute[], lasting?: GuestNetwork): Told {
  const all = { interfaces, routes, neighbors: [], rules: [] };
  return { interfaces: new Map(interfaces.map((one, at) => [at + 2, one])), all, lasting: lasting ?? all };
}

Deno.test("changesOf() finds nothing between what is alike, whatever the state of a link", () => {
  const before = told([card("eth0", "10.0.0.2/24")], [route("eth0", undefined)]);
  const running = { ...card("eth0", "10.0.0.2/24"), rawFlags: 0x10043 };
  assert.ok(isNothing(changesOf(before, told([running], [route("eth0", undefined)]))));
  assert.ok(!isNothing(changesOf(NOTHING_TOLD, before)));
});

Deno.test("changesOf() tells all routes of a link anew that has changed: with another name it loses them", () => {
  const before = told([card("eth0"), card("eth1")], [route("eth0", undefined), route("eth1", "10.1.0.0/16")]);
  const renamed = { ...card("eth1"), name: "net1" };
  const after = told([card("eth0"), renamed], [route("eth0", undefined), route("net1", "10.1.0.0/16")]);
  const { guest, leftovers } = changesOf(before, after);
  assert.deepEqual(guest.interfaces, [renamed]);
  assert.deepEqual(guest.routes, [route("net1", "10.1.0.0/16")]);
  assert.deepEqual(leftovers.routes, [], "the old name's are gone with it");
});

Deno.test("changesOf() moves a default route from link to link without taking the new one away", () => {
  const links = [card("eth0"), card("eth1")];
  const after = told(links, [route("eth1", undefined)]);
  const { guest, leftovers } = changesOf(told(links, [route("eth0", undefined)]), after);
  assert.deepEqual([guest.routes, leftovers.routes], [[route("eth1", undefined)], []]);
});

Deno.test("changesOf() tells a route of several ways whole", () => {
  const links = [card("eth0"), card("eth1")];
  const ways = (
    weight: number,
  ) => [route("eth0", "10.5.0.0/16", { weight: 1 }), route("eth1", "10.5.0.0/16", { weight })];
  assert.deepEqual(changesOf(told(links, ways(1)), told(links, ways(2))).guest.routes, ways(2));
  assert.deepEqual(changesOf(told(links, ways(1)), told(links, [])).leftovers.routes, ways(1));
});

Deno.test("changesOf() takes away what has gone, but not what ends by itself", () => {
  const lasting = { interfaces: [card("eth0", "10.0.0.2/24")], routes: [], neighbors: [], rules: [Uint8Array.of(1)] };
  const before = told([card("eth0", "10.0.0.2/24", "10.0.0.9/24")], [route("eth0", undefined)], lasting);
  const { leftovers } = changesOf(before, told([card("eth0")], []));
  const interfaces = [card("eth0", "10.0.0.2/24")];
  assert.deepEqual(leftovers, { cards: [], interfaces, routes: [], rules: [Uint8Array.of(1)] });
});

Deno.test("kind 1: changesOf() tells an address again of which only the metric has changed, and takes none away", () => {
  const with_ = (metric: number) => ({
    ...card("eth0"),
    addresses: [{ family: "inet", address: "10.0.0.2/24", metric }] as const,
  });
  const { guest, leftovers } = changesOf(told([with_(1)], []), told([with_(2)], []));
  assert.deepEqual([guest.interfaces, leftovers.interfaces], [[with_(2)], []]);
});

Deno.test("kind 1: changesOf() tells rules that are new, and routes of other tables apart", () => {
  const rule = (byte: number, more: Partial<Told> = {}): Told => {
    const all = { interfaces: [], routes: [], neighbors: [], rules: [Uint8Array.of(byte)] };
    return { interfaces: new Map(), all, lasting: all, ...more };
  };
  const { guest, leftovers } = changesOf(rule(1), rule(2));
  assert.deepEqual([guest.rules, leftovers.rules], [[Uint8Array.of(2)], [Uint8Array.of(1)]]);
  const links = [card("eth0")];
  const [main, other] = [route("eth0", undefined), route("eth0", undefined, { table: 100 })];
  assert.deepEqual(changesOf(told(links, [main, other]), told(links, [main])).leftovers.routes, [other]);
});
