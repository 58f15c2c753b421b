import assert from "node:assert/strict";
import type { Link, Route, Rule } from "../../linux/net/rtnetlink.ts";
import { lostOf } from "./lost.ts";

const ETH0 = { index: 2 } as Link;
const USUAL: Rule[] = [
  { family: "inet", priority: 0, table: 255 },
  { family: "inet", priority: 32766, table: 254 },
  { family: "inet", priority: 32767, table: 253 },
];

function route(change: Partial<Route> = {}): Route {
  const plain = { family: "inet", table: 254, protocol: 3, type: 1, scope: 0, flags: 0, tos: 0, link: 2 } as const;
  const absent = { destination: undefined, gateway: undefined, source: undefined, priority: undefined, mtu: undefined };
  return { ...plain, ...absent, nexthops: [], otherMetrics: [], ...change };
}

function lost(routes: readonly Route[], rules: readonly Rule[] = USUAL): string[] {
  return lostOf({ links: [ETH0], routes, rules });
}

Deno.test("pods B4: lostOf() names nothing of a namespace that goes to the guest whole, or that its kernel fills itself", () => {
  const kernels = route({ table: 255, protocol: 2, type: 2, destination: "10.0.0.2/32" });
  assert.deepEqual(lost([route(), kernels, route({ destination: "10.7.0.0/16", type: 6, link: undefined })]), []);
});

Deno.test.each<{ what: string; routes: Route[]; rules?: Rule[] }>([
  { what: "inet rule 100 to table 100", routes: [], rules: [{ family: "inet", priority: 100, table: 100 }] },
  { what: "inet rule 5 to no table", routes: [], rules: [{ family: "inet", priority: 5, table: 0 }] },
  { what: "inet route to default of table 100", routes: [route({ table: 100 })] },
  { what: "type of service 16 of inet route to 10.5.0.0/16", routes: [route({ tos: 16, destination: "10.5.0.0/16" })] },
  { what: "metrics 8, 11 (RTAX_*) of inet route to default", routes: [route({ otherMetrics: [8, 11] })] },
  {
    what: "way by gateway 10.9.0.1 of inet route to default",
    routes: [route({ link: undefined, nexthops: [{ link: 9, gateway: "10.9.0.1", weight: 1, flags: 0 }] })],
  },
])("pods B4: lostOf() names $what", ({ what, routes, rules = USUAL }) => {
  assert.deepEqual(lost(routes, rules), [what]);
});
