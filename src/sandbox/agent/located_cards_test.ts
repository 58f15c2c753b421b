import assert from "node:assert/strict";
import { interfaceToWire } from "../../agent_api/network.ts";
import type { GuestAddress } from "../../hypervisor/device.ts";
import { locatedCards } from "./located_cards.ts";

Deno.test("wire W4: locatedCards() has the guest wait for each card by its slots, where it has some", () => {
  const card = (number: number) =>
    ({ kind: "net", id: `net${number}`, mac: `02:00:00:00:00:0${number}`, tapFds: [], vhostFds: [] }) as const;
  const link = (number: number) => {
    const of = { mac: `02:00:00:00:00:0${number}`, mtu: 1500, kind: "veth", rawFlags: 0, addresses: [] };
    return { name: `eth${number}`, ...of };
  };
  const addresses: Record<string, GuestAddress> = {
    net0: { bus: "pci", path: "05/00" },
    net1: { bus: "ccw", id: "0.0.0001" },
  };
  const joined = {
    cards: [card(1), card(0), card(2)],
    guest: { interfaces: [link(0), link(1), link(2)], routes: [], neighbors: [], rules: [] },
  };
  const { interfaces } = locatedCards(joined, { guestAddress: (id) => addresses[id] });
  assert.deepEqual(interfaces.map((each) => interfaceToWire(each).devicePath), ["05/00", "", ""]);
});
