/** Taps, and frames that cross between a container's link and its VM's tap. Needs root and /dev/net/tun. */
import assert from "node:assert/strict";
import { isErrno } from "../../src/linux/ffi/errno.ts";
import { Fd, O_RDWR } from "../../src/linux/io/fd.ts";
import { createNetns, enterNetns } from "../../src/linux/process/namespace.ts";
import { Rtnetlink } from "../../src/linux/net/rtnetlink.ts";
import { openTap, openVhostNet, type Tap } from "../../src/linux/net/tap.ts";
import { addIngress, crossConnect, removeIngress } from "../../src/linux/net/tc.ts";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";

const ignore = leftOutUnlessRoot(import.meta);
const VNET_HEADER_SIZE = 12;
/** From 02:…:01 to everybody, of a protocol that no stack answers. */
const FRAME = Uint8Array.from([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, ...new Array(46).fill(7)]);

/** A tap in a namespace of its own, without IPv6 chatter. */
class Box implements Disposable {
  readonly netlink: Rtnetlink;
  readonly #path = Deno.makeTempFileSync({ prefix: "tap_test-" });
  readonly #stack = new DisposableStack();

  constructor() {
    Deno.removeSync(this.#path);
    this.#stack.use(createNetns(this.#path));
    this.netlink = this.within(() => this.#stack.use(new Rtnetlink()));
    this.within(() => Deno.writeTextFileSync("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"));
  }

  within<T>(act: () => T): T {
    using _ = enterNetns(this.#path);
    return act();
  }

  /** An open tap that is up. */
  tap(name: string, queues = 1): Tap & { index: number } {
    const tap = this.#stack.use(this.within(() => openTap(name, { queues })));
    for (const fd of tap.fds) fd.setNonblocking();
    const { index } = this.netlink.link(tap.name);
    this.netlink.changeLink(index, { up: true });
    return Object.assign(tap, { index });
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

function send(fd: Fd, frame: Uint8Array): void {
  const packet = new Uint8Array(VNET_HEADER_SIZE + frame.length);
  packet.set(frame, VNET_HEADER_SIZE);
  fd.write(packet);
}

/** The next frame; undefined if there is none. */
function receive(fd: Fd): Uint8Array | undefined {
  const buffer = new Uint8Array(2048);
  try {
    return buffer.slice(VNET_HEADER_SIZE, fd.read(buffer));
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return undefined;
    throw error;
  }
}

Deno.test({ name: "openTap() puts a number into the name and opens each queue", ignore }, () => {
  using box = new Box();
  const tap = box.tap("kata%d", 3);
  assert.equal(tap.name, "kata0");
  assert.equal(tap.fds.length, 3);
  assert.equal(box.netlink.link("kata0").kind, "tun");
});

Deno.test({ name: "openTap() gives back what it opened when a queue is refused", ignore }, () => {
  using box = new Box();
  box.tap("t0");
  assert.throws(() => box.within(() => openTap("t0", { queues: 2 })), { message: "TUNSETIFF t0: EINVAL" });
  assert.throws(() => openTap("a-name-too-long-x"), {
    message: 'Cannot name a tap "a-name-too-long-x": at most 15 bytes',
  });
});

Deno.test({ name: "a tap ends with its descriptors unless it persists", ignore }, () => {
  using box = new Box();
  box.within(() => openTap("short"))[Symbol.dispose]();
  box.within(() => openTap("long", { persist: true, uid: 1, gid: 1 }))[Symbol.dispose]();
  assert.equal(box.netlink.findLink("short"), undefined);
  box.netlink.deleteLink(box.netlink.link("long").index);
});

Deno.test({ name: "crossConnect() carries frames both ways, and no more once disposed", ignore }, () => {
  using box = new Box();
  const [first, second] = [box.tap("a"), box.tap("b")];
  {
    using _ = crossConnect(box.netlink, { first: first.index, second: second.index });
    send(first.fds[0]!, FRAME);
    assert.deepEqual(receive(second.fds[0]!), FRAME);
    send(second.fds[0]!, FRAME);
    assert.deepEqual(receive(first.fds[0]!), FRAME);
    assert.equal(receive(second.fds[0]!), undefined);
  }
  send(first.fds[0]!, FRAME);
  assert.equal(receive(second.fds[0]!), undefined);
});

Deno.test({ name: "crossConnect() leaves nothing behind when one side is refused", ignore }, () => {
  using box = new Box();
  const [first, second] = [box.tap("a"), box.tap("b")];
  addIngress(box.netlink, second.index);
  assert.throws(() => crossConnect(box.netlink, { first: first.index, second: second.index }), { code: "EEXIST" });
  addIngress(box.netlink, first.index);
});

Deno.test({ name: "removeIngress() of a link without one, or of no link, is no failure", ignore }, () => {
  using box = new Box();
  removeIngress(box.netlink, 1);
  removeIngress(box.netlink, 999);
});

Deno.test("kind 1: openVhostNet() opens all queues, or none and says why", () => {
  const opened: Fd[] = [];
  const open = (path: string) => () => {
    opened.push(Fd.open(opened.length < 2 ? "/dev/null" : path, O_RDWR));
    return opened.at(-1)!;
  };
  const some = openVhostNet(3, open("/dev/no-vhost-net"));
  assert.deepEqual([some.fds, some.obstacle?.message], [[], "open /dev/no-vhost-net: ENOENT"]);
  assert.equal(opened.length, 2);
  for (const fd of opened.splice(0)) assert.ok(!fd.isOpen, "nothing stays open");
  const all = openVhostNet(3, open("/dev/null"));
  assert.deepEqual([all.fds, all.obstacle], [opened, undefined]);
  for (const fd of all.fds) fd[Symbol.dispose]();
  assert.throws(() => openVhostNet(3, open("/")), { code: "EISDIR" }, "something else is wrong");
  for (const fd of opened) fd[Symbol.dispose]();
});
