/** Names that a server in the pod's network namespace resolves for the guest, as Docker's does. Needs root. */
import assert from "node:assert/strict";
import { dnsAnswer, dnsQuery } from "../../src/agent_api/testing/dns_query.ts";
import { createLogger } from "../../src/base/log.ts";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";
import type { Fd } from "../../src/linux/io/fd.ts";
import { readable } from "../../src/linux/io/poll.ts";
import { bindInet, inetSocket, receiveFrom, sendTo } from "../../src/linux/net/inet_socket.ts";
import { Rtnetlink } from "../../src/linux/net/rtnetlink.ts";
import { enterNetns, newNetns } from "../../src/linux/process/namespace.ts";
import { NOTHING_JOINED } from "../../src/resources/network/network.ts";
import { NameForward } from "../../src/sandbox/agent/name_forward.ts";
import type { GuestQuery } from "../../src/sandbox/agent/resolver.ts";
import { ResolvConf } from "../../src/sandbox/agent/resolv_conf.ts";
import { followNetwork } from "../../src/sandbox/machine/late_network.ts";
import { until } from "../support/wait.ts";

const ignore = leftOutUnlessRoot(import.meta);
const RESOLV_CONF = ["nameserver 127.0.0.11", "options ndots:0"];

/** A namespace with its loopback up. */
function podNetns(): Fd {
  const netns = newNetns();
  using _ = enterNetns(netns);
  using netlink = new Rtnetlink();
  netlink.changeLink(netlink.link("lo").index, { up: true });
  return netns;
}

function socketAt(netns: Fd, port: number, address = "127.0.0.11"): Fd {
  using _ = enterNetns(netns);
  const socket = inetSocket("udp");
  bindInet(socket, { address, port });
  return socket;
}

/** A guest that asks what it is told to, and keeps the answers. */
class Guest {
  readonly answers = new Map<number, Uint8Array>();
  readonly listening: string[] = [];
  readonly #queries: GuestQuery[] = [];
  #news = Promise.withResolvers<void>();
  open = 0;
  mostOpen = 0;

  readonly resolver = {
    listen: (address: string) => Promise.resolve(void this.listening.push(address)),
    next: async ({ signal }: { signal?: AbortSignal }) => {
      signal?.addEventListener("abort", () => this.#news.resolve());
      for (;;) {
        signal?.throwIfAborted();
        const query = this.#queries.shift();
        if (query !== undefined) {
          this.mostOpen = Math.max(this.mostOpen, ++this.open);
          return query;
        }
        await this.#news.promise;
      }
    },
    answer: (id: number, message: Uint8Array) => {
      this.open--;
      return Promise.resolve(void this.answers.set(id, message));
    },
  };

  ask(id: number, message: Uint8Array, by: "tcp" | "udp" = "udp"): void {
    this.#queries.push({ id, message, tcp: by === "tcp" });
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

function forward(netns: Fd, guest: Guest): NameForward {
  return new NameForward({ netns, agent: guest, log: createLogger({ sink: () => {} }) });
}

Deno.test({
  name: "pods A10: NameForward asks the server at 127.0.0.11 of the pod's namespace, and only where that is the pod's",
  ignore,
  async fn() {
    using netns = podNetns();
    using server = socketAt(netns, 53);
    const guest = new Guest();
    await using names = forward(netns, guest);
    await names.serve(["nameserver 10.0.0.1", "nameserver 127.0.0.1"]);
    assert.deepEqual(guest.listening, []);
    await names.serve(RESOLV_CONF);
    await names.serve(RESOLV_CONF);
    assert.deepEqual(guest.listening, ["127.0.0.11"]);
    const query = dnsQuery("srv");
    guest.ask(1, query);
    await readable(server);
    const buffer = new Uint8Array(512);
    const { length, from } = receiveFrom(server, buffer)!;
    assert.deepEqual(buffer.slice(0, length), query);
    // A stray datagram with another number is no answer.
    sendTo(server, dnsAnswer(dnsQuery("srv", { id: 99 })), from);
    sendTo(server, dnsAnswer(query), from);
    await until(() => guest.answers.size === 1);
    assert.deepEqual(guest.answers.get(1), dnsAnswer(query));
  },
});

Deno.test({
  name: "pods A10: a server that is gone is a failure for the client, by UDP and TCP",
  ignore,
  async fn() {
    using netns = podNetns();
    const guest = new Guest();
    await using names = forward(netns, guest);
    await names.serve(RESOLV_CONF);
    guest.ask(1, dnsQuery("srv"));
    guest.ask(2, dnsQuery("srv"), "tcp");
    await until(() => guest.answers.size === 2);
    for (const answer of guest.answers.values()) assert.equal(answer[3]! & 0xf, 2);
  },
});

Deno.test({
  name:
    "pods A10: a guest that has the agent in its hands reaches nothing but that server, by queries alone, 64 at a time",
  ignore,
  async fn() {
    using netns = podNetns();
    using server = socketAt(netns, 53);
    using neighbor = socketAt(netns, 53, "127.0.0.12");
    const guest = new Guest();
    await using names = forward(netns, guest);
    await names.serve(RESOLV_CONF);
    const attacks = [
      new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
      new Uint8Array(),
      new Uint8Array(65_535),
      dnsAnswer(dnsQuery("srv")),
      dnsQuery("zone", { type: 252 }),
    ];
    for (const [id, attack] of attacks.entries()) guest.ask(id, attack, id % 2 === 1 ? "tcp" : "udp");
    await until(() => guest.answers.size === attacks.length);
    assert.ok([...guest.answers.values()].every(({ length }) => length === 0));
    assert.equal(receiveFrom(server, new Uint8Array(1)), undefined);
    for (let id = 100; id < 400; id++) guest.ask(id, dnsQuery("srv", { id }));
    await until(() => guest.open === 64);
    let received = 0;
    const buffer = new Uint8Array(512);
    while (received < 300) {
      const length = await readable(server).then(() => receiveFrom(server, buffer));
      if (length === undefined) continue;
      received++;
      sendTo(server, dnsAnswer(buffer.slice(0, length.length)), length.from);
    }
    await until(() => guest.answers.size === attacks.length + 300);
    assert.equal(guest.mostOpen, 64);
    assert.equal(receiveFrom(neighbor, new Uint8Array(1)), undefined);
  },
});

/** A sandbox whose network changes whenever somebody looks; it follows until the test disposes it. */
async function follow(netns: Fd, guest: Guest, { resolvConf, lines }: { resolvConf: ResolvConf; lines: string[] }) {
  await using owner = new AsyncDisposableStack();
  const abort = new AbortController();
  const changes = () => ({ ...NOTHING_JOINED });
  const scans = { join: changes, follow: changes, release: () => {}, tellAgain: () => void lines.push("tellAgain") };
  const changed = () => new Promise<void>((resolve) => abort.signal.addEventListener("abort", () => resolve()));
  const parts = { host: { network: { ...scans, netns, changed } }, vm: { name: "fake" }, abort, owner };
  const agent = { resolver: guest.resolver, network: {} };
  const log = createLogger({ sink: (line) => void lines.push(line) });
  // deno-lint-ignore no-explicit-any -- the calls that it makes, and no others
  const late = await followNetwork(parts as any, agent as any, { resolvConf, log });
  owner.defer(() => abort.abort());
  const ended = owner.move();
  return { late: late!, [Symbol.asyncDispose]: () => ended.disposeAsync() };
}

Deno.test({
  name:
    "atk3 3: a container that puts a link, a fifo or a long file in place of its resolv.conf has the host read none",
  ignore,
  async fn() {
    const directory = Deno.makeTempDirSync();
    const [path, victim] = [`${directory}/resolv.conf`, `${directory}/victim`];
    Deno.writeTextFileSync(path, "nameserver 10.0.0.1\n");
    Deno.writeTextFileSync(victim, `${RESOLV_CONF[0]}\n`);
    using netns = podNetns();
    using resolvConf = new ResolvConf({ mounts: [{ destination: "/etc/resolv.conf", source: path }] });
    const guest = new Guest();
    const lines: string[] = [];
    await using sandbox = await follow(netns, guest, { resolvConf, lines });
    Deno.renameSync(path, `${path}.old`);
    const attacks = [
      () => Deno.symlinkSync(victim, path),
      () => Deno.linkSync(victim, path),
      () => new Deno.Command("mkfifo", { args: [path] }).outputSync(),
      () => Deno.writeTextFileSync(path, "nameserver 127.0.0.11\n".repeat(10_000)),
    ];
    for (const attack of attacks) {
      attack();
      await sandbox.late.join();
      Deno.removeSync(path);
    }
    assert.deepEqual([guest.listening, lines], [[], []]);
    // The file that the containers have may become too long as well: that is said, and keeps nothing from being done.
    Deno.writeTextFileSync(`${path}.old`, "#".repeat(100_000));
    await sandbox.late.join();
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, /name servers.*larger than 65536 bytes/);
    // As Docker does where a container comes to a network with a server.
    Deno.writeTextFileSync(`${path}.old`, `${RESOLV_CONF[0]}\n`);
    await sandbox.late.join();
    assert.deepEqual(guest.listening, ["127.0.0.11"]);
    Deno.removeSync(directory, { recursive: true });
  },
});
