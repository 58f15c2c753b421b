/** Links, addresses, routes and neighbours, each test in a network namespace of its own. Needs root. */
import assert from "node:assert/strict";
import { Fd, O_RDONLY } from "../../src/linux/io/fd.ts";
import { createNetns, enterNetns } from "../../src/linux/process/namespace.ts";
import { type Link, Rtnetlink } from "../../src/linux/net/rtnetlink.ts";
import { ROUTE_PROTOCOL, ROUTE_TABLE } from "../../src/linux/net/rtnetlink_route.ts";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";

const ignore = leftOutUnlessRoot(import.meta);

/** A new namespace and a conversation with it. */
class Net implements Disposable {
  readonly path = Deno.makeTempFileSync({ prefix: "netlink_test-" });
  readonly netlink: Rtnetlink;
  readonly #stack = new DisposableStack();

  constructor() {
    Deno.removeSync(this.path);
    this.#stack.use(createNetns(this.path));
    using _ = enterNetns(this.path);
    this.netlink = this.#stack.use(new Rtnetlink());
  }

  /** Both ends of a veth, up. */
  veth(name: string, peer: string): [Link, Link] {
    const { index } = this.netlink.addLink({ kind: "veth", name, peer: { name: peer }, up: true });
    this.netlink.changeLink(this.netlink.link(peer).index, { up: true });
    return [this.netlink.link(index), this.netlink.link(peer)];
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

Deno.test({ name: "Rtnetlink.links() of a new namespace is the loopback, down", ignore }, () => {
  using net = new Net();
  const links = net.netlink.links();
  assert.deepEqual(links.map(({ name, index, kind, hardwareType }) => ({ name, index, kind, hardwareType })), [
    { name: "lo", index: 1, kind: undefined, hardwareType: 772 },
  ]);
  assert.ok(!links[0]!.flags.has("up"));
  net.netlink.changeLink(1, { up: true });
  assert.ok(net.netlink.link("lo").flags.has("running"));
});

Deno.test({ name: "Rtnetlink.addLink() makes a veth as asked, and deleteLink() takes both ends", ignore }, () => {
  using net = new Net();
  const mac = "02:00:00:00:00:0a";
  const made = net.netlink.addLink({ kind: "veth", name: "a", mac, mtu: 1400, peer: { name: "b", mtu: 1300 } });
  assert.deepEqual([made.name, made.kind, made.mac, made.mtu], ["a", "veth", mac, 1400]);
  const peer = net.netlink.link("b");
  assert.equal(peer.mtu, 1300);
  assert.equal(peer.parent, made.index);
  net.netlink.deleteLink(peer.index);
  assert.equal(net.netlink.findLink("a"), undefined);
});

Deno.test({ name: "Rtnetlink.changeLink() changes what is given and nothing else", ignore }, () => {
  using net = new Net();
  const [a] = net.veth("a", "b");
  const bridge = net.netlink.addLink({ kind: "bridge", name: "br" });
  net.netlink.changeLink(a.index, { arp: false, master: bridge.index });
  const { flags, master, mtu, mac } = net.netlink.link(a.index);
  assert.ok(flags.has("noarp") && flags.has("up"));
  assert.deepEqual([master, mtu, mac], [bridge.index, a.mtu, a.mac]);
  net.netlink.changeLink(a.index, { up: false, name: "renamed", arp: true, master: 0 });
  const renamed = net.netlink.link("renamed");
  assert.deepEqual([renamed.index, renamed.master, renamed.flags.has("noarp")], [a.index, undefined, false]);
});

Deno.test({ name: "Rtnetlink.changeLink() moves a link to another namespace", ignore }, () => {
  using here = new Net();
  using there = new Net();
  const [a] = here.veth("a", "b");
  using target = Fd.open(there.path, O_RDONLY);
  here.netlink.changeLink(a.index, { netns: target });
  assert.equal(here.netlink.findLink("a"), undefined);
  assert.equal(there.netlink.link("a").mac, a.mac);
});

Deno.test({ name: "Rtnetlink goes on with its namespace after the thread has left it", ignore }, () => {
  using net = new Net();
  net.veth("only-here", "b");
  using outside = new Rtnetlink();
  assert.equal(outside.findLink("only-here"), undefined);
  assert.ok(net.netlink.findLink("only-here"));
});

Deno.test({ name: "addresses of both families are added, listed by link, replaced and deleted", ignore }, () => {
  using net = new Net();
  const [{ index: link }] = net.veth("a", "b");
  net.netlink.addAddress({ link, address: "10.9.0.2/24", broadcast: "10.9.0.255" });
  net.netlink.replaceAddress({ link, address: "10.9.0.2/24" });
  net.netlink.addAddress({ link, address: "fd00::2/64", flags: ["nodad"] });
  const listed = net.netlink.addresses({ link }).filter(({ address }) => !address.startsWith("fe80"));
  assert.deepEqual(listed.map(({ address, family }) => [address, family]), [
    ["10.9.0.2/24", "inet"],
    ["fd00::2/64", "inet6"],
  ]);
  assert.equal(net.netlink.addresses({ link: 1 }).length, 0);
  net.netlink.deleteAddress({ link, address: "10.9.0.2/24" });
  assert.equal(net.netlink.addresses({ link, family: "inet" }).length, 0);
});

Deno.test({ name: "a peer address keeps its prefix apart from the own one", ignore }, () => {
  using net = new Net();
  const [{ index: link }] = net.veth("a", "b");
  net.netlink.addAddress({ link, address: "10.9.0.2", peer: "10.1.0.0/16" });
  const [{ address, peer } = {}] = net.netlink.addresses({ link, family: "inet" });
  assert.deepEqual({ address, peer }, { address: "10.9.0.2/32", peer: "10.1.0.0/16" });
});

Deno.test({ name: "routes are listed as they were added, the default one without a destination", ignore }, () => {
  using net = new Net();
  const [{ index: link }] = net.veth("a", "b");
  net.netlink.addAddress({ link, address: "10.9.0.2/24" });
  net.netlink.addRoute({ gateway: "10.9.0.1", link, mtu: 1300, source: "10.9.0.2" });
  net.netlink.addRoute({ destination: "192.168.0.0/16", gateway: "10.9.0.3", priority: 7 });
  net.netlink.addRoute({ destination: "0.0.0.0/0", gateway: "10.9.0.4", table: 1000 });
  net.netlink.replaceRoute({ family: "inet", gateway: "10.9.0.5", link });
  const routes = net.netlink.routes({ link, family: "inet" }).filter(({ protocol }) =>
    protocol === ROUTE_PROTOCOL.boot
  );
  assert.deepEqual(
    routes.map(({ destination, gateway, priority, table }) => ({ destination, gateway, priority, table })),
    [
      { destination: undefined, gateway: "10.9.0.4", priority: undefined, table: 1000 },
      { destination: undefined, gateway: "10.9.0.5", priority: undefined, table: ROUTE_TABLE.main },
      { destination: "192.168.0.0/16", gateway: "10.9.0.3", priority: 7, table: ROUTE_TABLE.main },
    ],
  );
  net.netlink.deleteRoute({ destination: "192.168.0.0/16" });
  assert.ok(net.netlink.routes({ link }).every(({ destination }) => destination !== "192.168.0.0/16"));
});

Deno.test({ name: "an IPv4 route may have an IPv6 gateway", ignore }, () => {
  using net = new Net();
  const [{ index: link }] = net.veth("a", "b");
  net.netlink.addAddress({ link, address: "fd00::2/64", flags: ["nodad"] });
  net.netlink.addRoute({ destination: "10.0.0.0/8", gateway: "fd00::1", link });
  const route = net.netlink.routes({ family: "inet" }).find(({ destination }) => destination === "10.0.0.0/8");
  assert.equal(route?.gateway, "fd00::1");
});

Deno.test({ name: "neighbour entries are permanent unless told otherwise, and can be overwritten", ignore }, () => {
  using net = new Net();
  const [{ index: link }] = net.veth("a", "b");
  net.netlink.replaceNeighbor({ link, address: "10.9.0.1", mac: "02:00:00:00:00:01" });
  net.netlink.replaceNeighbor({ link, address: "10.9.0.1", mac: "02:00:00:00:00:02" });
  assert.deepEqual(net.netlink.neighbors({ link, family: "inet" }), [
    { link, family: "inet", address: "10.9.0.1", mac: "02:00:00:00:00:02", state: 0x80, flags: 0 },
  ]);
  net.netlink.deleteNeighbor({ link, address: "10.9.0.1" });
  assert.equal(net.netlink.neighbors({ link, family: "inet" }).length, 0);
});

Deno.test.each<{ what: string; act: (netlink: Rtnetlink) => void; message: RegExp }>([
  { what: "a missing link", act: (netlink) => netlink.link("none"), message: /^RTM_GETLINK none.*: ENODEV$/ },
  {
    what: "a taken name",
    act: (netlink) => netlink.addLink({ kind: "bridge", name: "lo" }),
    message: /^RTM_NEWLINK lo.*: EEXIST$/,
  },
  {
    what: "an unreachable gateway",
    act: (netlink) => netlink.addRoute({ gateway: "1.1.1.1" }),
    message: /^RTM_NEWROUTE default via 1\.1\.1\.1 \(Nexthop has invalid gateway\): ENETUNREACH$/,
  },
])("Rtnetlink refuses $what with the kernel's words", ({ act, message }) => {
  if (ignore) return;
  using net = new Net();
  assert.throws(() => act(net.netlink), { name: "ErrnoError", message });
});
