import assert from "node:assert/strict";
import { leftOut } from "../../base/testing/left_out.ts";
import type { Link, Route } from "../../linux/net/rtnetlink.ts";
import { decodeRoute, encodeRoute, ROUTE_TYPE } from "../../linux/net/rtnetlink_route.ts";
import { PASSED_ATTRIBUTES } from "../../linux/net/rtnetlink_route_rest.ts";
import { refuseLost } from "../network/lost.ts";
import { describeNetwork } from "../network/scan.ts";
import { NETWORK_FATES, ROUTE_FATES, ROUTE_TYPE_FATES } from "./network.ts";

const HEADERS = "/usr/include/linux";

function hasHeaders(): boolean {
  try {
    return Deno.statSync(`${HEADERS}/rtnetlink.h`).isFile;
  } catch {
    return false;
  }
}

/** Names of a header's lists, but for those that only mark an end. */
function namesIn(header: string, prefix: string): string[] {
  const lists = Deno.readTextFileSync(`${HEADERS}/${header}`).match(/^enum[^{]*\{[^}]*\}/gm) ?? [];
  const names = lists.flatMap((list) => [...list.matchAll(new RegExp(`^\\s*${prefix}([A-Z0-9_]+)`, "gm"))]);
  return [...new Set(names.map(([, name]) => name!))];
}

Deno.test.each(Object.entries(NETWORK_FATES).map(([prefix, table]) => ({ prefix, ...table })))(
  "kind 1: each $prefix* of the kernel has a row",
  { ignore: leftOut(import.meta, !hasHeaders() && "the kernel's headers are not installed") },
  ({ prefix, header, fates }) => {
    const names = namesIn(header, prefix);
    assert.ok(names.length > 5, names.join());
    assert.deepEqual(names.filter((name) => !Object.hasOwn(fates, name)), []);
  },
);

const ETH0 = { index: 2, name: "eth0", hardwareType: 1, flags: new Set(["up"]) } as unknown as Link;

function content(routes: readonly Route[]) {
  return { links: [ETH0], addresses: [], routes, neighbors: [], rules: [] };
}

Deno.test.each(Object.entries(ROUTE_TYPE))("kind 1: a route of type %s has the fate of its row", (name, type) => {
  const link = type === ROUTE_TYPE.unicast ? 2 : undefined;
  const route = decodeRoute(encodeRoute({ destination: "10.5.0.0/16", type, ...(link !== undefined && { link }) }))!;
  const fate = ROUTE_TYPE_FATES[name.toUpperCase()]!;
  const told = describeNetwork(content([route]), [ETH0]).routes.length;
  const refusal = "refused" in fate ? fate.refused : undefined;
  if (refusal === undefined) {
    assert.deepEqual(["carried" in fate, told], [true, 1]);
    return refuseLost(content([route]), new Set([2]));
  }
  assert.equal(told, 0);
  assert.throws(() => refuseLost(content([route]), new Set([2])), (error: Error) => error.message.includes(refusal));
});

Deno.test("kind 1: attributes of routes that are passed on as they are have rows that say so", () => {
  for (const name of Object.keys(PASSED_ATTRIBUTES)) assert.ok("carried" in ROUTE_FATES[name]!, name);
});

Deno.test("kind 1: nothing is lost without a word but what stands here", () => {
  const open = Object.entries(NETWORK_FATES).flatMap(([prefix, { fates }]) =>
    Object.entries(fates).filter(([, fate]) => "open" in fate).map(([name]) => `${prefix}${name}`)
  );
  assert.deepEqual(open, ["IFA_RT_PRIORITY"]);
});
