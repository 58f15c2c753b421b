import assert from "node:assert/strict";
import type { Address, Link, Route, Rule } from "../../linux/net/rtnetlink.ts";
import { refuseLost } from "./lost.ts";
import type { NetnsContent } from "./scan.ts";

const LINKS = [
  { index: 1, hardwareType: 772 },
  { index: 2, hardwareType: 1, name: "eth0", altNames: [] as string[], group: 0 },
] as Link[];
const message = new Uint8Array();
const USUAL: Rule[] = [
  { family: "inet", priority: 0, table: 255, message },
  { family: "inet", priority: 32766, table: 254, message },
  { family: "inet", priority: 32767, table: 253, message },
];

function route(change: Partial<Route> = {}): Route {
  const plain = { family: "inet", table: 254, protocol: 3, type: 1, scope: 0, flags: 0, tos: 0, link: 2 } as const;
  const absent = { destination: undefined, gateway: undefined, source: undefined, priority: undefined, mtu: undefined };
  return { ...plain, ...absent, from: undefined, rest: new Uint8Array(), nexthops: [], ...change };
}

function address(link: number, text: string): Address {
  return { link, address: text } as Address;
}

function refuse(content: Partial<NetnsContent>): void {
  const empty = { links: LINKS, addresses: [], routes: [], neighbors: [], rules: USUAL };
  refuseLost({ ...empty, ...content }, new Set([2]));
}

Deno.test("pods B4: refuseLost() takes a namespace that goes to the guest whole, or that its kernel fills itself", () => {
  const kernels = route({ table: 255, protocol: 2, type: 2, destination: "10.0.0.2/32" });
  const routes = [route(), kernels, route({ destination: "10.7.0.0/16", type: 6, link: undefined })];
  const addresses = [address(1, "127.0.0.1/8"), address(1, "::1/128"), address(2, "10.0.0.2/24")];
  refuse({ routes, addresses, rules: [...USUAL, { family: "inet", priority: 9, table: 100, message }] });
});

const WAY = { link: 2, gateway: "10.9.0.1", weight: 1, flags: 0, others: [] };

Deno.test.each<{ what: string; content: Partial<NetnsContent> }>([
  { what: "that inet has no rule 0", content: { rules: USUAL.slice(1) } },
  { what: "address 10.1.1.1/32 of the loopback", content: { addresses: [address(1, "10.1.1.1/32")] } },
  {
    what: "inet route to 10.5.0.0/16 of type 2 (RTN_*)",
    content: { routes: [route({ type: 2, table: 255, destination: "10.5.0.0/16" })] },
  },
  {
    what: "inet route to 10.6.0.0/16 by a link that is not the guest's",
    content: { routes: [route({ link: 1, destination: "10.6.0.0/16" })] },
  },
  {
    what: "way by gateway 10.9.0.1 of inet route to default",
    content: { routes: [route({ link: undefined, nexthops: [{ ...WAY, link: 9 }] })] },
  },
  {
    what: "attributes 11, 22 (RTA_*) of a way of inet route to default",
    content: { routes: [route({ link: undefined, nexthops: [{ ...WAY, others: [11, 22] }] })] },
  },
])("kind 1: refuseLost() refuses $what by name", ({ what, content }) => {
  assert.throws(() => refuse(content), {
    code: "UNIMPLEMENTED",
    message: `Cannot give the pod's network to its VM: ${what}`,
  });
});
