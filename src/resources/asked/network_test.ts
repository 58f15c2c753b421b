import assert from "node:assert/strict";
import { leftOut } from "../../base/testing/left_out.ts";
import type { Link, Route } from "../../linux/net/rtnetlink.ts";
import { decodeRoute, encodeRoute, ROUTE_TYPE } from "../../linux/net/rtnetlink_route.ts";
import { PASSED_ATTRIBUTES } from "../../linux/net/rtnetlink_route_rest.ts";
import { refuseLost } from "../network/lost.ts";
import { describeNetwork, guestLinks, refuseStrange } from "../network/scan.ts";
import { LINK_FATES, LINK_KIND_FATES } from "./links.ts";
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
  const own = lists.filter((list) => list.includes(`${prefix}UNSPEC`));
  const names = own.flatMap((list) => [...list.matchAll(new RegExp(`^\\s*${prefix}([A-Z0-9_]+)`, "gm"))]);
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

const ETH0 = {
  index: 2,
  name: "eth0",
  kind: "veth",
  hardwareType: 1,
  flags: new Set(["up"]),
  altNames: [],
  group: 0,
} as unknown as Link;

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

Deno.test.each<[name: string, change: Partial<Link>]>([
  ["MASTER", { master: 7 }],
  ["GROUP", { group: 3 }],
  ["ALT_IFNAME", { altNames: ["uplink"] }],
  ["PROP_LIST", { altNames: ["uplink"] }],
])("kind 1: a link with IFLA_%s is refused by the words of its row", (name, change) => {
  const fate = LINK_FATES[name]!;
  const { routes, ...rest } = content([]);
  refuseLost({ ...rest, routes }, new Set([2]));
  const links = [{ ...ETH0, ...change }];
  const words = "refused" in fate ? `that link "eth0" ${fate.refused}` : undefined;
  assert.throws(() => refuseLost({ ...rest, routes, links }, new Set([2])), (error: Error) => {
    assert.equal(error.message, `Cannot give the pod's network to its VM: ${words}`);
    return true;
  });
});

/** Kinds that ip(8) can make, but for those of ports, which name no link. */
function kindsOfIp(): string[] {
  const { stdout, stderr } = new Deno.Command("ip", { args: ["link", "help"] }).outputSync();
  const [, kinds] = /TYPE := \{([^}]*)\}/.exec(new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr)) ??
    [];
  return (kinds ?? "").split("|").map((kind) => kind.trim()).filter((kind) => !kind.endsWith("_slave"));
}

Deno.test("kind 1: each kind of links that ip(8) makes has a row", () => {
  const kinds = kindsOfIp();
  assert.ok(kinds.includes("veth") && kinds.length > 20, kinds.join());
  assert.deepEqual(kinds.filter((kind) => !Object.hasOwn(LINK_KIND_FATES, kind)), []);
});

const KINDS = Object.entries(LINK_KIND_FATES).filter(([kind]) => !/loopback| /.test(kind));

Deno.test.each(KINDS)("kind 1: a link of kind %s that is up has the fate of its row", (kind, fate) => {
  const link = { ...ETH0, kind: kind === "physical" ? undefined : kind };
  const links = guestLinks({ links: [link], addresses: [] });
  assert.deepEqual(links, [link]);
  if ("carried" in fate) return refuseStrange(link);
  const words = "refused" in fate ? `Cannot join interface "eth0" to the VM: ${fate.refused}` : "";
  assert.throws(() => refuseStrange(link), (error: Error) => error.message.startsWith(`${words};`));
});

Deno.test("kind 1: nothing is lost without a word but what stands here", () => {
  const open = Object.entries(NETWORK_FATES).flatMap(([prefix, { fates }]) =>
    Object.entries(fates).filter(([, fate]) => "open" in fate).map(([name]) => `${prefix}${name}`)
  );
  assert.deepEqual(open, ["IFLA_AF_SPEC"]);
});
