/** Interfaces, routes and neighbours through the agent's API, in a network namespace of the agent's own. */
import assert from "node:assert/strict";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { Leftovers } from "../../src/proto/leftovers_pb.ts";
import { interfaceToWire, routeToWire } from "../../src/agent_api/network.ts";
import { Fd, O_RDONLY } from "../../src/linux/io/fd.ts";
import { Rtnetlink } from "../../src/linux/net/rtnetlink.ts";
import { enterNetns } from "../../src/linux/process/namespace.ts";
import { IPFamily } from "../../src/proto/types_pb.ts";
import { describeNetwork } from "../../src/resources/network/scan.ts";
import { AgentBox } from "./agent_box.ts";
import { until } from "../support/wait.ts";

const MAC = "02:00:00:00:00:aa";

/** Whether the agent has a netlink socket (family 15) that hears of devices (group 1). */
function listens(box: AgentBox): boolean {
  const rows = Deno.readTextFileSync(`/proc/${box.pid}/net/netlink`).split("\n").map((row) => row.split(/\s+/));
  return rows.some(([, family, , groups]) => family === "15" && groups === "00000001");
}

async function ip(box: AgentBox, ...args: string[]): Promise<string> {
  const command = new Deno.Command("nsenter", { args: ["-t", `${box.pid}`, "-n", "ip", ...args] });
  const { code, stdout, stderr } = await command.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("UpdateInterface finds the link by its hardware address and swaps names with the one that has it", async () => {
  await using box = await AgentBox.start();
  await ip(box, "link", "add", "eth0", "type", "bridge");
  await ip(box, "link", "add", "eth1", "address", MAC, "type", "bridge");
  const wanted = {
    device: "eth0",
    name: "eth0",
    hwAddr: MAC.toUpperCase(),
    mtu: 1400n,
    IPAddresses: [
      { family: IPFamily.v4, address: "10.9.0.2", mask: "24" },
      { family: IPFamily.v6, address: "fd00::2", mask: "64" },
    ],
  };
  const answer = await box.agent.updateInterface({ interface: wanted });
  assert.equal(answer.hwAddr, wanted.hwAddr);
  await box.agent.updateInterface({ interface: wanted }); // once more changes nothing
  const { Interfaces } = await box.agent.listInterfaces({});
  const eth0 = Interfaces.find(({ name }) => name === "eth0");
  assert.equal(eth0?.hwAddr, MAC);
  assert.equal(eth0.mtu, 1400n);
  const addresses = eth0.IPAddresses.map(({ address, mask }) => `${address}/${mask}`);
  assert.ok(addresses.includes("10.9.0.2/24") && addresses.includes("fd00::2/64"), addresses.join());
  assert.notEqual(Interfaces.find(({ name }) => name === "eth1")?.hwAddr, MAC);
  assert.match(await ip(box, "link", "show", "eth0"), /\bUP\b/);
});

Deno.test("UpdateInterface waits for a link that is being plugged in, and says which one never came", async () => {
  await using box = await AgentBox.start();
  const updated = box.agent.updateInterface({ interface: { name: "eth0", hwAddr: MAC } });
  await until(() => listens(box));
  await ip(box, "link", "add", "other", "type", "bridge");
  await ip(box, "link", "add", "late", "address", MAC, "type", "bridge");
  await updated;
  assert.match(await ip(box, "link", "show", "eth0"), new RegExp(MAC));
  const hwAddr = "02:00:00:00:00:bb";
  await assert.rejects(
    box.agent.updateInterface({ interface: { name: "eth7", hwAddr } }),
    (error) => {
      assert.ok(error instanceof ConnectError && error.code === Code.NotFound && error.message.includes(hwAddr));
      assert.match(error.message, /within 3000 ms \(there: .*; heard: nothing of its kind\)/);
      return true;
    },
  );
  assert.ok(!listens(box), "nothing hears of devices when nobody waits");
});

Deno.test("UpdateInterface waits for the card at a PCI path, and refuses what cannot be one", async () => {
  await using box = await AgentBox.start();
  const update = (devicePath: string) => box.agent.updateInterface({ interface: { name: "eth0", devicePath } });
  await assert.rejects(update("1e/1e"), /network card at PCI path "1e\/1e" within/);
  await assert.rejects(update("eth0"), (error) => error instanceof ConnectError && error.code === Code.InvalidArgument);
});

Deno.test("UpdateRoutes sets networks before gateways and lists the main table; neighbours are permanent (B47)", async () => {
  await using box = await AgentBox.start();
  await ip(box, "link", "add", "eth0", "address", MAC, "type", "bridge");
  const IPAddresses = [
    { family: IPFamily.v4, address: "10.9.0.2", mask: "32" },
    { family: IPFamily.v6, address: "fd00::2", mask: "64" },
  ];
  await box.agent.updateInterface({ interface: { name: "eth0", hwAddr: MAC, IPAddresses } });
  const routes = [
    { dest: "", gateway: "10.9.0.1", device: "eth0", priority: 100 },
    { dest: "", gateway: "10.9.0.9", device: "eth0", priority: 200 },
    { dest: "", gateway: "fd00::1", device: "eth0", family: IPFamily.v6, priority: 300 },
    { dest: "10.9.0.0/24", device: "eth0", source: "10.9.0.2", scope: 253, mtu: 1300 },
  ];
  const { Routes } = await box.agent.updateRoutes({ routes: { Routes: routes } });
  const defaults = Routes.filter(({ dest, device }) => dest === "" && device === "eth0");
  assert.deepEqual(defaults.map(({ gateway, priority }) => [gateway, priority]).sort(), [
    ["10.9.0.1", 100],
    ["10.9.0.9", 200],
    ["fd00::1", 300],
  ]);
  const network = Routes.find(({ dest }) => dest === "10.9.0.0/24");
  assert.deepEqual([network?.source, network?.scope, network?.mtu], ["10.9.0.2", 253, 1300]);
  await box.agent.addARPNeighbors({
    neighbors: {
      ARPNeighbors: [{ toIPAddress: { address: "10.9.0.1" }, device: "eth0", lladdr: "02:00:00:00:00:01" }],
    },
  });
  assert.match(await ip(box, "neigh"), /10\.9\.0\.1 dev eth0 lladdr 02:00:00:00:00:01 PERMANENT/);
  await assert.rejects(box.agent.updateRoutes({ routes: { Routes: [{ dest: "", device: "none" }] } }), /"none"/);
});

Deno.test("pods B4: UpdateRoutes sets a route of several ways and routes to nowhere; addresses keep what is special", async () => {
  await using box = await AgentBox.start();
  await ip(box, "link", "add", "eth0", "address", MAC, "type", "bridge");
  const IPAddresses = [
    { family: IPFamily.v4, address: "10.9.0.2", mask: "24" },
    { family: IPFamily.v4, address: "10.8.0.2", mask: "32", peer: "10.8.0.1/32" },
    { family: IPFamily.v4, address: "10.7.0.2", mask: "24", noPrefixRoute: true, scope: 253 },
  ];
  await box.agent.updateInterface({ interface: { name: "eth0", hwAddr: MAC, IPAddresses } });
  const addresses = await ip(box, "-4", "address", "show", "dev", "eth0");
  assert.match(addresses, /inet 10\.8\.0\.2 peer 10\.8\.0\.1\/32 scope global/);
  assert.match(addresses, /inet 10\.7\.0\.2\/24 scope link noprefixroute/);
  const way = { dest: "", device: "eth0", priority: 5 };
  const Routes = [
    { ...way, gateway: "10.9.0.1", weight: 1 },
    { ...way, gateway: "10.9.0.3", weight: 2 },
    { dest: "10.66.0.0/16", type: 6 },
    { dest: "10.67.0.0/16", type: 7 },
  ];
  const listed = await box.agent.updateRoutes({ routes: { Routes } });
  assert.deepEqual(listed.Routes.filter(({ dest }) => dest === "").map(({ gateway, weight }) => [gateway, weight]), [
    ["10.9.0.1", 1],
    ["10.9.0.3", 2],
  ]);
  const routes = await ip(box, "route");
  assert.match(
    routes,
    /default metric 5 .*\n\tnexthop via 10\.9\.0\.1 dev eth0 weight 1 .*\n\tnexthop via 10\.9\.0\.3 dev eth0 weight 2/,
  );
  assert.match(routes, /^blackhole 10\.66\.0\.0\/16/m);
  assert.match(routes, /^unreachable 10\.67\.0\.0\/16/m);
  assert.match(routes, /^10\.8\.0\.1 dev eth0/m, "the peer has a route");
  assert.doesNotMatch(routes, /^10\.7\.0\.0/m);
});

Deno.test("pods A11: UpdateInterface leaves a link up that keeps its name: it loses no route", async () => {
  await using box = await AgentBox.start();
  await ip(box, "link", "add", "eth0", "address", MAC, "type", "bridge");
  const update = (...addresses: string[]) =>
    box.agent.updateInterface({
      interface: {
        name: "eth0",
        hwAddr: MAC,
        IPAddresses: addresses.map((address) => ({ family: IPFamily.v4, address, mask: "24" })),
      },
    });
  await update("10.9.0.2");
  await ip(box, "route", "add", "10.8.0.0/16", "via", "10.9.0.1");
  await update("10.9.0.2", "10.7.0.2");
  assert.match(await ip(box, "route"), /10\.8\.0\.0\/16 via 10\.9\.0\.1/);
  assert.match(await ip(box, "address"), /10\.7\.0\.2\/24/);
});

Deno.test("pods A11: RemoveNetwork takes away the routes, addresses and links that are named, and no others", async () => {
  await using box = await AgentBox.start();
  const leftovers = createClient(Leftovers, box.transport);
  await ip(box, "link", "add", "eth0", "address", MAC, "type", "bridge");
  const IPAddresses = ["10.9.0.2", "10.7.0.2"].map((address) => ({ family: IPFamily.v4, address, mask: "24" }));
  await box.agent.updateInterface({ interface: { name: "eth0", hwAddr: MAC, IPAddresses } });
  const via = (dest: string) => ({ dest, gateway: "10.9.0.1", device: "eth0", family: IPFamily.v4 });
  await box.agent.updateRoutes({ routes: { Routes: [via("10.4.0.0/16"), via("10.5.0.0/16")] } });
  const removed = {
    cards: [],
    interfaces: [{ name: "eth0", IPAddresses: IPAddresses.slice(1) }, { name: "none", IPAddresses }],
    routes: [via("10.5.0.0/16"), via("10.6.0.0/16"), { ...via("10.4.0.0/16"), device: "none" }],
  };
  for (let time = 0; time < 2; time++) await leftovers.removeNetwork(removed);
  const routes = await ip(box, "route");
  assert.match(routes, /10\.4\.0\.0/);
  assert.doesNotMatch(routes, /10\.5\.0\.0|10\.7\.0\.0/);
  assert.match(await ip(box, "address"), /10\.9\.0\.2/);
  await leftovers.removeNetwork({ cards: [MAC.toUpperCase(), "02:00:00:00:00:bb"] });
  assert.doesNotMatch(await ip(box, "link"), /eth0/);
});

/** Addresses and the routes that follow from them, as ip(8) lists them. */
async function addressesIn(box: AgentBox): Promise<string> {
  const texts = [
    await ip(box, "-o", "address", "show", "dev", "eth0"),
    await ip(box, "route"),
    await ip(box, "-6", "route"),
  ];
  return texts.join("").split("\n").map((line) => line.replace(/ linkdown|^\d+: /g, "").trim())
    .filter((line) => !/fe80::|ff00::/.test(line)).sort().join("\n");
}

Deno.test("kind 1: metrics, labels and broadcast addresses are in the guest as in the pod, also once they change", async () => {
  await using pod = await AgentBox.start();
  await using guest = await AgentBox.start();
  for (const box of [pod, guest]) await ip(box, "link", "add", "eth0", "address", MAC, "type", "bridge");
  await ip(pod, "link", "set", "eth0", "up");
  const tell = async () => {
    using netns = Fd.open(`/proc/${pod.pid}/ns/net`, O_RDONLY);
    using netlink = netlinkIn(netns);
    const eth0 = netlink.link("eth0");
    const content = { links: [eth0], addresses: netlink.addresses(), routes: [], neighbors: [], rules: [] };
    const [told] = describeNetwork(content, [eth0]).interfaces;
    await guest.agent.updateInterface({ interface: interfaceToWire(told!) });
    await guest.agent.updateInterface({ interface: interfaceToWire(told!) }); // once more changes nothing
    assert.equal(await addressesIn(guest), await addressesIn(pod));
  };
  const words = [
    "10.9.0.2/24 metric 77 broadcast 10.9.0.9 label eth0:web dev eth0",
    "10.8.0.2/24 broadcast + dev eth0",
    "fd00::2/64 metric 88 dev eth0 nodad",
  ];
  for (const one of words) await ip(pod, "address", "add", ...one.split(" "));
  await tell();
  const found = await addressesIn(guest);
  for (const word of ["metric 77", "metric 88", "brd 10.9.0.9", "brd 10.8.0.255", "eth0:web"]) {
    assert.ok(found.includes(word), `${word}\n${found}`);
  }
  await ip(pod, "address", "change", "10.9.0.2/24", "metric", "78", "dev", "eth0");
  await ip(pod, "address", "delete", "10.8.0.2/24", "dev", "eth0");
  await ip(pod, "address", "add", "10.8.0.2/24", "broadcast", "+", "label", "eth0:db", "dev", "eth0");
  await tell();
  const changed = await addressesIn(guest);
  assert.ok(changed.includes("metric 78") && !changed.includes("metric 77") && changed.includes("eth0:db"), changed);
});

/** Commands of ip(8) for what a pod's network may have besides plain routes. */
const SPECIAL = [
  "route add 10.50.0.0/16 via 10.9.0.1 dev eth0 table 100 advmss 1200 mtu 1400 hoplimit 9 congctl cubic",
  "route add 10.51.0.0/16 dev eth0 tos 0x10 realms 3/4 initcwnd 20",
  "-6 route add fd11::/64 from fd00::/64 via fd00::1 dev eth0",
  "-6 route add fd12::/64 via fd00::1 dev eth0 pref high",
  "-6 route add fd13::/64 via fd00::1 dev eth0 table 4711 metric 77",
  "rule add from 10.9.0.0/24 iif eth0 fwmark 0x7/0xff table 100 priority 99",
  "rule add to 10.51.0.0/16 ipproto tcp dport 80-90 uidrange 5-7 table 100 priority 100",
  "rule add not oif eth0 blackhole priority 101",
  "-6 rule add from fd00::/64 table 4711 suppress_prefixlength 0 priority 55",
];

/** Routes and rules in words, as ip(8) lists them. */
async function tablesIn(pid: number): Promise<string> {
  const lists = ["-4 -d route show table all", "-6 -d route show table all", "-4 rule", "-6 rule"];
  const texts = [];
  for (const words of lists) {
    const { stdout } = await new Deno.Command("nsenter", {
      args: ["-t", `${pid}`, "-n", "ip", ...words.split(" ")],
    }).output();
    texts.push(new TextDecoder().decode(stdout));
  }
  const lines = texts.join("").split("\n").filter((line) => !/proto kernel|table local|ff00::/.test(line));
  return lines.map((line) => line.replace(/ proto \w+| linkdown| dead/g, "").trim()).sort().join("\n");
}

Deno.test("kind 1: routes of other tables, with all their attributes, and rules are in the guest as in the pod", async () => {
  await using pod = await AgentBox.start();
  await using guest = await AgentBox.start();
  const IPAddresses = [
    { family: IPFamily.v4, address: "10.9.0.2", mask: "24" },
    { family: IPFamily.v6, address: "fd00::2", mask: "64" },
  ];
  for (const box of [pod, guest]) {
    await ip(box, "link", "add", "eth0", "address", MAC, "type", "bridge");
    await box.agent.updateInterface({ interface: { name: "eth0", hwAddr: MAC, IPAddresses } });
  }
  for (const words of SPECIAL) await ip(pod, ...words.split(" "));
  using netns = Fd.open(`/proc/${pod.pid}/ns/net`, O_RDONLY);
  using netlink = netlinkIn(netns);
  const eth0 = netlink.link("eth0");
  const rules = [...netlink.rules("inet"), ...netlink.rules("inet6")];
  const content = { links: [eth0], addresses: [], routes: netlink.routes(), neighbors: [], rules };
  const told = describeNetwork(content, [eth0]);
  const Routes = told.routes.map(routeToWire);
  // Twice: what is there stays.
  await guest.agent.updateRoutes({ routes: { Routes, rules: [...told.rules] } });
  await guest.agent.updateRoutes({ routes: { Routes, rules: [...told.rules] } });
  const [wanted, found] = [await tablesIn(pod.pid), await tablesIn(guest.pid)];
  assert.equal(found, wanted);
  for (const word of ["table 100", "advmss 1200", "congctl cubic", "tos 0x10", "realms 3/4", "from fd00::/64"]) {
    assert.ok(wanted.includes(word) || word === "tos 0x10", word);
  }
  assert.equal(rules.length - 5, told.rules.length, "those that each namespace has are not told");
  const leftovers = createClient(Leftovers, guest.transport);
  for (let time = 0; time < 2; time++) await leftovers.removeNetwork({ routes: Routes, rules: [...told.rules] });
  assert.doesNotMatch(await tablesIn(guest.pid), /table 100|lookup 100|blackhole|fd11/);
  const short = { routes: { Routes: [], rules: [new Uint8Array(3)] } };
  await assert.rejects(guest.agent.updateRoutes(short), ConnectError);
});

function netlinkIn(netns: Fd): Rtnetlink {
  using _ = enterNetns(netns);
  return new Rtnetlink();
}
