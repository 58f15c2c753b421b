/** A pod's links joined to the taps of its VM, in network namespaces of the test's own. Needs root and /dev/net/tun. */
import assert from "node:assert/strict";
import { isErrno } from "../../src/linux/ffi/errno.ts";
import { Fd, O_RDONLY } from "../../src/linux/io/fd.ts";
import { enterNetns, newNetns } from "../../src/linux/process/namespace.ts";
import { createLogger } from "../../src/base/log.ts";
import { ROUTE_TYPE } from "../../src/linux/net/rtnetlink_route.ts";
import { Rtnetlink } from "../../src/linux/net/rtnetlink.ts";
import { parseMac } from "../../src/linux/net/ip_address.ts";
import { openTap } from "../../src/linux/net/tap.ts";
import { NOTHING_JOINED, PodNetwork } from "../../src/resources/network/network.ts";
import { openPodNetns } from "../../src/resources/network/netns.ts";
import { until } from "../support/wait.ts";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";

const ignore = leftOutUnlessRoot(import.meta);
const POD_MAC = "02:00:00:00:00:02";
const HOST_MAC = "02:00:00:00:00:01";
const STALE = 0x04;
/** virtio-net's header, then the frame: the type is at 12. */
const TYPE_AT = 12 + 12;
const ARP = 0x0806;
/** No stack answers it. */
const TEST_TYPE = 0x88b5;

/** A host with a pod: `host0` and `eth0` are the ends of a veth, with addresses, a default route each way. */
class Node implements Disposable {
  readonly host: Rtnetlink;
  readonly pod: Rtnetlink;
  readonly podNetns: Fd;
  readonly #stack = new DisposableStack();

  constructor() {
    const hostNetns = this.#stack.use(newNetns());
    this.podNetns = this.#stack.use(newNetns());
    this.host = this.#stack.use(netlinkIn(hostNetns));
    this.pod = this.#stack.use(netlinkIn(this.podNetns));
    this.addVeth("eth0", "10.88.0");
    this.pod.addRoute({ gateway: "10.88.0.1", link: this.pod.link("eth0").index });
  }

  addVeth(name: string, network: string): void {
    const [hostName, macs] = name === "eth0" ? ["host0", [HOST_MAC, POD_MAC]] : [`host-${name}`, []];
    this.host.addLink({ kind: "veth", name: hostName, peer: { name, netns: this.podNetns } });
    for (const [at, [netlink, link]] of ([[this.host, hostName], [this.pod, name]] as const).entries()) {
      const { index } = netlink.link(link);
      netlink.changeLink(index, { up: true, mtu: 1400, ...(macs[at] !== undefined && { mac: macs[at] }) });
      netlink.addAddress({ link: index, address: `${network}.${at + 1}/24` });
    }
  }

  /** The addresses that it makes are news for a second or two, until they are known to be the only ones. */
  disableIpv6(): void {
    within(this.podNetns, () => Deno.writeTextFileSync("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"));
  }

  network(queues = 1): PodNetwork {
    return new PodNetwork({ netns: this.podNetns.dup(), model: "tcfilter", queues, vhost: false });
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

function within<T>(netns: Fd, act: () => T): T {
  using _ = enterNetns(netns);
  return act();
}

function netlinkIn(netns: Fd): Rtnetlink {
  return within(netns, () => new Rtnetlink());
}

/** Types of the frames that wait in a tap. */
function waitingTypes(tap: Fd): number[] {
  tap.setNonblocking();
  const types: number[] = [];
  const buffer = new Uint8Array(2048);
  try {
    for (;;) {
      tap.read(buffer);
      types.push((buffer[TYPE_AT]! << 8) | buffer[TYPE_AT + 1]!);
    }
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return types;
    throw error;
  }
}

function names(netlink: Rtnetlink): string[] {
  return netlink.links().map(({ name }) => name).filter((name) => name !== "sit0");
}

Deno.test(
  { name: "PodNetwork.join() gives the VM a card with the link's MAC, and the agent all it must know", ignore },
  () => {
    using node = new Node();
    using network = node.network();
    const { cards, guest } = network.join();
    assert.deepEqual(cards.map(({ id, mac, tapFds }) => ({ id, mac, queues: tapFds.length })), [
      { id: "net0", mac: POD_MAC, queues: 1 },
    ]);
    assert.equal(node.pod.link("tap0_kata").mtu, 1400);
    const [eth0] = guest.interfaces;
    assert.deepEqual([eth0?.name, eth0?.mtu, eth0?.mac], ["eth0", 1400, POD_MAC]);
    assert.deepEqual(eth0?.addresses.map(({ address }) => address), ["10.88.0.2/24"]);
    assert.deepEqual(guest.routes.map(({ destination, gateway, device }) => ({ destination, gateway, device })), [
      { destination: undefined, gateway: "10.88.0.1", device: "eth0" },
    ]);
  },
);

Deno.test({
  name: "pods B3: the gateway's neighbour entry is there although nobody has spoken to it, as one to be asked again",
  ignore,
}, () => {
  using node = new Node();
  using network = node.network();
  const { guest: { neighbors } } = network.join();
  assert.deepEqual(neighbors.map(({ address, mac, state }) => [address, mac, state]), [
    ["10.88.0.1", HOST_MAC, STALE],
  ]);
});

Deno.test(
  { name: "PodNetwork.join() brings what arrives at the link to the tap, not to the host's own stack", ignore },
  () => {
    using node = new Node();
    using network = node.network();
    const [card] = network.join().cards;
    waitingTypes(card!.tapFds[0]!);
    node.host.replaceNeighbor({ link: node.host.link("host0").index, address: "10.88.0.9", state: 0, flags: 1 });
    assert.ok(waitingTypes(card!.tapFds[0]!).includes(ARP));
  },
);

Deno.test({ name: "PodNetwork.join() joins a tap that an engine left in the pod, both ways", ignore }, () => {
  using node = new Node();
  using theirs = within(node.podNetns, () => openTap("eth1"));
  const { index, mac } = node.pod.link("eth1");
  node.pod.changeLink(index, { up: true });
  using network = node.network();
  const { cards } = network.join();
  const card = cards.find((one) => one.mac === mac);
  const ends = [theirs.fds[0]!, card!.tapFds[0]!] as const;
  for (const [from, to] of [ends, ends.toReversed() as [Fd, Fd]]) {
    waitingTypes(to);
    const frame = new Uint8Array(12 + 60);
    frame.fill(0xff, 12, 18); // to everybody
    frame.set([TEST_TYPE >> 8, TEST_TYPE & 0xff], TYPE_AT);
    from.write(frame);
    assert.ok(waitingTypes(to).includes(TEST_TYPE));
  }
});

Deno.test({ name: "PodNetwork.join() opens a queue per vCPU", ignore }, () => {
  using node = new Node();
  using network = node.network(4);
  assert.equal(network.join().cards[0]?.tapFds.length, 4);
});

Deno.test({
  name: "kind 1: PodNetwork.join() says why a card has no vhost, once for each, or gives it to all queues",
  ignore,
}, () => {
  using node = new Node();
  const lines: string[] = [];
  const log = createLogger({ sink: (line) => void lines.push(line) });
  using network = new PodNetwork({ netns: node.podNetns.dup(), model: "tcfilter", queues: 2, vhost: true, log });
  const [card] = network.join().cards;
  const said = lines.filter((line) => /no vhost-net for it.*eth0.*\/dev\/vhost-net/.test(line));
  assert.deepEqual([card!.vhostFds.length, said.length], said.length === 0 ? [2, 0] : [0, 1], lines.join());
});

Deno.test({ name: "B49: PodNetwork.join() joins links that appear late, and each only once", ignore }, () => {
  using node = new Node();
  using network = node.network();
  network.join();
  assert.deepEqual(network.join().cards, []);
  node.addVeth("eth1", "10.89.0");
  const { cards, guest } = network.join();
  assert.deepEqual(cards.map(({ id }) => id), ["net1"]);
  assert.deepEqual(guest.interfaces.map(({ name }) => name), ["eth1"]);
});

/** Counts how often links are listed. */
function countingLists(use: (count: () => number) => void): void {
  const { links } = Rtnetlink.prototype;
  let count = 0;
  Rtnetlink.prototype.links = function () {
    count++;
    return links.call(this);
  };
  try {
    use(() => count);
  } finally {
    Rtnetlink.prototype.links = links;
  }
}

Deno.test({ name: "B49: PodNetwork.join() reads the namespace once, and again only after news", ignore }, () => {
  using node = new Node();
  node.disableIpv6();
  using network = node.network();
  countingLists((count) => {
    network.join();
    assert.ok(count() <= 2, "a second time after gateways were asked for");
    const before = count();
    for (let time = 0; time < 3; time++) assert.deepEqual(network.join().cards, []);
    assert.equal(count(), before);
    node.pod.changeLink(node.pod.link("eth0").index, { mtu: 1300 });
    const { cards, guest } = network.join();
    assert.deepEqual([cards, guest.interfaces.map(({ mtu }) => mtu)], [[], [1300]]);
    assert.equal(count(), before + 1);
  });
});

Deno.test({ name: "pods A11: PodNetwork.follow() tells what comes, changes and goes, once each", ignore }, () => {
  using node = new Node();
  using network = node.network();
  network.join();
  node.addVeth("eth1", "10.89.0");
  const { index } = node.pod.link("eth1");
  node.pod.addAddress({ link: index, address: "10.98.0.7/24" });
  node.pod.addRoute({ destination: "10.5.0.0/16", gateway: "10.89.0.1", link: index });
  const late = network.follow();
  assert.deepEqual(late.cards.map(({ id }) => id), ["net1"]);
  assert.deepEqual(late.guest.routes.map(({ destination, device }) => [destination, device]), [[
    "10.5.0.0/16",
    "eth1",
  ]]);

  node.pod.addAddress({ link: index, address: "10.99.0.7/24" });
  node.pod.deleteAddress({ link: index, address: "10.98.0.7/24" });
  node.pod.deleteRoute({ destination: "10.5.0.0/16" });
  node.pod.addRoute({ destination: "10.6.0.0/16", gateway: "10.89.0.1", link: index });
  const changed = network.follow();
  assert.deepEqual(changed.cards, []);
  assert.deepEqual(changed.guest.interfaces.map(({ addresses }) => addresses.map(({ address }) => address)), [
    ["10.89.0.2/24", "10.99.0.7/24"],
  ]);
  assert.deepEqual(changed.guest.routes.map(({ destination }) => destination), ["10.6.0.0/16"]);
  const { interfaces, routes } = changed.leftovers;
  assert.deepEqual(interfaces.map(({ name, addresses }) => [name, addresses.map(({ address }) => address)]), [
    ["eth1", ["10.98.0.7/24"]],
  ]);
  assert.deepEqual(routes.map(({ destination }) => destination), ["10.5.0.0/16"]);
  assert.equal(network.follow(), NOTHING_JOINED);

  const { mac } = node.pod.link("eth1");
  node.pod.deleteLink(index);
  const { gone, leftovers } = network.follow();
  assert.deepEqual(gone, [{ id: "net1", mac }]);
  assert.deepEqual(leftovers, NOTHING_JOINED.leftovers, "all of it goes with the card");
  assert.ok(names(node.pod).includes("tap1_kata"));
  network.release("net1");
  assert.ok(!names(node.pod).includes("tap1_kata"));
  // A link that comes in its place is another one.
  node.addVeth("eth1", "10.89.0");
  assert.deepEqual(network.follow().cards.map(({ id }) => id), ["net2"]);
});

Deno.test({
  name:
    "pods A11: a link that cannot be put into the VM is tried again after news of it, or once a card is free, or told",
  ignore,
}, async () => {
  using node = new Node();
  node.disableIpv6();
  const lines: string[] = [];
  const log = createLogger({ sink: (line) => void lines.push(line) });
  using network = new PodNetwork({ netns: node.podNetns.dup(), model: "tcfilter", queues: 1, vhost: false, log });
  network.join();
  const { index: odd } = node.pod.addLink({ kind: "bridge", name: "odd" });
  node.pod.changeLink(odd, { up: true });
  node.addVeth("eth1", "10.89.0");
  assert.deepEqual(network.follow().cards.map(({ id }) => id), ["net1"], "the others are joined all the same");
  assert.match(lines.join(), /Cannot join interface \\"odd\\" to the VM: its kind is bridge/);
  await until(() => node.pod.link("eth1").state === "up");
  assert.deepEqual(network.follow().cards, []);
  network.release("net1");
  assert.deepEqual(network.follow().cards, []);
  node.pod.changeLink(node.pod.link("eth1").index, { mtu: 1300 });
  assert.deepEqual(network.follow().cards.map(({ id }) => id), ["net2"]);
  network.release("net2");
  node.pod.deleteLink(node.pod.link("eth0").index);
  assert.deepEqual(network.follow().gone.map(({ id }) => id), ["net0"]);
  network.release("net0");
  assert.deepEqual(network.follow().cards.map(({ id }) => id), ["net3"]);
  assert.throws(() => network.join(), { code: "UNIMPLEMENTED" }, "a start leaves nothing out");
});

Deno.test({
  name: "atk3 2: each scan finds the cards whose links have gone until they are released, also after one that failed",
  ignore,
}, () => {
  using node = new Node();
  node.disableIpv6();
  const options = { netns: node.podNetns.dup(), model: "tcfilter" as const, queues: 1, vhost: false };
  using network = new PodNetwork(options);
  network.join();
  node.pod.deleteLink(node.pod.link("eth0").index);
  node.addVeth("eth1", "10.89.0");
  options.queues = 10_000; // more than a tap has: the new link cannot be joined
  for (let time = 0; time < 2; time++) assert.throws(() => network.follow());
  assert.deepEqual(names(node.pod).sort(), ["eth1", "lo", "tap0_kata"]);
  options.queues = 1;
  const found = network.follow();
  assert.deepEqual([found.gone.map(({ id }) => id), found.cards.length], [["net0"], 1]);
  network.tellAgain();
  assert.deepEqual(network.follow().gone.map(({ id }) => id), ["net0"]);
  network.release("net0");
  network.tellAgain();
  assert.deepEqual(network.follow().gone, []);
  assert.ok(!names(node.pod).includes("tap0_kata"));
});

Deno.test({
  name: "B49: PodNetwork.join() joins a link that was there unused, once it is up or has an address",
  ignore,
}, () => {
  using node = new Node();
  using network = node.network();
  for (const name of ["eth1", "eth2"]) {
    node.host.addLink({ kind: "veth", name: `host-${name}`, peer: { name, netns: node.podNetns } });
  }
  assert.equal(network.join().cards.length, 1);
  node.pod.changeLink(node.pod.link("eth1").index, { up: true });
  assert.deepEqual(network.join().guest.interfaces.map(({ name }) => name), ["eth1"]);
  node.pod.addAddress({ link: node.pod.link("eth2").index, address: "10.99.0.1/24" });
  assert.deepEqual(network.join().guest.interfaces.map(({ name }) => name), ["eth2"]);
});

Deno.test({ name: "B49: PodNetwork.join() finds a link of which the news was lost among others", ignore }, () => {
  using node = new Node();
  using network = node.network();
  network.join();
  const { index } = node.pod.link("eth0");
  const address = { link: index, address: "10.88.0.77/24" };
  for (let time = 0; time < 2_000; time++) {
    node.pod.addAddress(address);
    node.pod.deleteAddress(address);
  }
  node.addVeth("eth1", "10.89.0");
  assert.deepEqual(network.join().guest.interfaces.map(({ name }) => name), ["eth1"]);
});

Deno.test(
  { name: "PodNetwork.join() refuses a link that it cannot join each time, not only when it is new", ignore },
  () => {
    using node = new Node();
    using network = node.network();
    network.join();
    const { index } = node.pod.addLink({ kind: "bridge", name: "odd" });
    node.pod.changeLink(index, { up: true });
    for (let time = 0; time < 2; time++) assert.throws(() => network.join(), { code: "UNIMPLEMENTED" });
    node.pod.deleteLink(index);
    assert.deepEqual(network.join().cards, []);
  },
);

Deno.test(
  { name: "PodNetwork leaves the namespace as it was, and survives a shim that was killed before", ignore },
  () => {
    using node = new Node();
    const before = names(node.pod);
    for (let round = 0; round < 2; round++) {
      using network = node.network();
      const { cards } = network.join();
      assert.deepEqual(names(node.pod), [...before, "tap0_kata"]);
      // As after kill -9: the taps go with their descriptors, the filters stay.
      if (round === 0) { for (const fd of cards[0]!.tapFds) fd[Symbol.dispose](); }
    }
    assert.deepEqual(names(node.pod), before);
  },
);

Deno.test({
  name: "pods B8: PodNetwork refuses a namespace in which another machine has its tap, and leaves that alone",
  ignore,
}, () => {
  using node = new Node();
  using first = node.network();
  first.join();
  using second = node.network();
  assert.throws(() => second.join(), {
    code: "FAILED_PRECONDITION",
    message: /^Cannot join a network in which "tap0_kata" is another virtual machine's/,
  });
  assert.deepEqual(first.join().cards, []);
});

Deno.test({ name: "PodNetwork is taken away also when its links were deleted meanwhile", ignore }, () => {
  using node = new Node();
  using network = node.network();
  network.join();
  node.host.deleteLink(node.host.link("host0").index);
});

Deno.test(
  { name: "openPodNetns() makes a namespace where the specification has none, and refuses the host's", ignore },
  () => {
    const options = { sandboxId: "s1", isPod: true, disableNew: false };
    const spec = (path?: string) => ({
      ociVersion: "1.0.2",
      linux: { namespaces: [{ type: "network" as const, ...(path !== undefined && { path }) }] },
    });
    using home = Fd.open("/proc/thread-self/ns/net", O_RDONLY);
    const inode = (fd: Fd) => Deno.statSync(`/proc/self/fd/${fd.number}`).ino;
    using own = openPodNetns(spec(), options);
    assert.notEqual(inode(own!), inode(home));
    using again = openPodNetns(spec(`/proc/self/fd/${own!.number}`), options);
    assert.equal(inode(again!), inode(own!));
    assert.equal(openPodNetns(spec(), { ...options, disableNew: true }), undefined);
    const refused = {
      code: "INVALID_ARGUMENT",
      message: `Cannot run sandbox "s1" in the host's network: a virtual machine has a network of its own`,
    };
    assert.throws(() => openPodNetns(spec("/proc/self/ns/net"), options), refused);
    assert.throws(() => openPodNetns({ ociVersion: "1.0.2" }, options), refused);
  },
);

Deno.test({
  name: "pods B4: PodNetwork.join() gives the guest each way of a route, other tables and rules, and refuses the rest",
  ignore,
}, () => {
  using node = new Node();
  node.addVeth("eth1", "10.89.0");
  const [eth0, eth1] = [node.pod.link("eth0").index, node.pod.link("eth1").index];
  const nexthops = [
    { link: eth0, gateway: "10.88.0.1", weight: 1, flags: 0 },
    { link: eth1, gateway: "10.89.0.1", weight: 2, flags: 0 },
  ];
  node.pod.addRoute({ destination: "10.5.0.0/16", nexthops });
  node.pod.addRoute({ destination: "10.6.0.0/16", type: ROUTE_TYPE.blackhole });
  node.pod.addRoute({ destination: "10.7.0.0/16", gateway: "10.88.0.1", link: eth0, table: 100 });
  within(
    node.podNetns,
    () => new Deno.Command("ip", { args: ["rule", "add", "from", "10.88.0.2", "table", "100"] }).outputSync(),
  );
  using network = new PodNetwork({ netns: node.podNetns.dup(), model: "tcfilter", queues: 1, vhost: false });
  node.pod.addAddress({ link: node.pod.link("lo").index, address: "10.1.1.1/32" });
  assert.throws(() => network.join(), { code: "UNIMPLEMENTED", message: /: address 10\.1\.1\.1\/32 of the loopback$/ });
  node.pod.deleteAddress({ link: node.pod.link("lo").index, address: "10.1.1.1/32" });
  const { routes, rules } = network.join().guest;
  assert.deepEqual(
    routes.map(({ destination = "default", device, weight, type, table }) => [destination, device, weight, type, table])
      .sort(),
    [
      ["10.5.0.0/16", "eth0", 1, 1, 254],
      ["10.5.0.0/16", "eth1", 2, 1, 254],
      ["10.6.0.0/16", "", undefined, ROUTE_TYPE.blackhole, 254],
      ["10.7.0.0/16", "eth0", undefined, 1, 100],
      ["default", "eth0", undefined, 1, 254],
    ],
  );
  assert.equal(rules.length, 1);
});

Deno.test({
  name:
    "kind 1: a link without Ethernet frames that is up is refused by name, said once the pod runs, and none that is down",
  ignore,
}, () => {
  using node = new Node();
  node.disableIpv6();
  const tun = (word: "add" | "del") =>
    within(node.podNetns, () => new Deno.Command("ip", { args: ["tuntap", word, "tun7", "mode", "tun"] }).outputSync());
  assert.ok(tun("add").success);
  const lines: string[] = [];
  const log = createLogger({ sink: (line) => void lines.push(line) });
  using network = new PodNetwork({ netns: node.podNetns.dup(), model: "tcfilter", queues: 1, vhost: false, log });
  assert.equal(network.join().cards.length, 1, "nobody uses it");
  const { index } = node.pod.link("tun7");
  node.pod.changeLink(index, { up: true });
  const refused = 'Cannot join interface "tun7" to the VM: its kind is tun, without Ethernet frames; a VM takes';
  for (let time = 0; time < 2; time++) assert.deepEqual(network.follow().cards, []);
  assert.equal(lines.filter((line) => line.replaceAll("\\", "").includes(refused)).length, 1, lines.join("\n"));
  assert.throws(() => network.join(), { code: "UNIMPLEMENTED", message: new RegExp(`^${refused}`) });
  assert.ok(tun("del").success);
  assert.deepEqual(network.join().cards, []);
});

Deno.test({
  name:
    "kind 1: a link with filters of others is refused by name and keeps them; those of a killed shim are taken away",
  ignore,
}, () => {
  using node = new Node();
  const tc = (words: string) => {
    const { success, stdout } = within(
      node.podNetns,
      () => new Deno.Command("tc", { args: words.split(" ") }).outputSync(),
    );
    assert.ok(success, words);
    return new TextDecoder().decode(stdout);
  };
  using network = node.network();
  tc("qdisc add dev eth0 clsact");
  const refused = {
    code: "UNIMPLEMENTED",
    message: /^Cannot join interface "eth0" to the VM: filters of others .*\(clsact\)/,
  };
  for (let time = 0; time < 2; time++) assert.throws(() => network.join(), refused);
  assert.match(tc("qdisc show dev eth0"), /clsact/);
  tc("qdisc del dev eth0 clsact");
  tc("qdisc add dev eth0 handle ffff: ingress");
  tc("filter add dev eth0 parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev lo");
  assert.equal(network.join().cards.length, 1, "as a shim that was killed has left it");
});

Deno.test({ name: "pods A12: PodNetwork.join() joins a macvlan link, both ways", ignore }, () => {
  using hostNetns = newNetns();
  using podNetns = newNetns();
  using host = netlinkIn(hostNetns);
  using pod = netlinkIn(podNetns);
  host.addLink({ kind: "veth", name: "parent", peer: { name: "cable" } });
  for (const name of ["peer", "eth0"]) {
    const args = ["link", "add", "name", name, "link", "parent", "type", "macvlan", "mode", "bridge"];
    const { success } = within(hostNetns, () => new Deno.Command("ip", { args }).outputSync());
    assert.ok(success);
  }
  host.changeLink(host.link("eth0").index, { netns: podNetns });
  for (const name of ["cable", "parent", "peer"]) host.changeLink(host.link(name).index, { up: true });
  const { index, mac } = pod.link("eth0");
  pod.changeLink(index, { up: true });
  pod.addAddress({ link: index, address: "10.88.0.2/24" });
  using network = new PodNetwork({ netns: podNetns.dup(), model: "tcfilter", queues: 1, vhost: false });
  const { cards: [card] } = network.join();
  assert.equal(card?.mac, mac, "the parent lets no other in");
  const tap = card!.tapFds[0]!;
  waitingTypes(tap);
  host.addAddress({ link: host.link("peer").index, address: "10.88.0.1/24" });
  host.replaceNeighbor({ link: host.link("peer").index, address: "10.88.0.2", state: 0, flags: 1 });
  assert.ok(waitingTypes(tap).includes(ARP), "in");
  const before = host.link("peer").statistics.rxPackets;
  const frame = new Uint8Array(12 + 60);
  frame.fill(0xff, 12, 18); // to everybody
  frame.set(parseMac(mac!), 18);
  frame.set([TEST_TYPE >> 8, TEST_TYPE & 0xff], TYPE_AT);
  tap.write(frame);
  assert.ok(host.link("peer").statistics.rxPackets > before, "out");
});
