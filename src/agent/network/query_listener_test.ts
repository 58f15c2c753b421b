import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { dnsAnswer, dnsQuery } from "../../agent_api/testing/dns_query.ts";
import { readSome } from "../../linux/io/poll.ts";
import { connectInet, type Endpoint, inetSocket } from "../../linux/net/inet_socket.ts";
import { QueryListener } from "./query_listener.ts";

const ADDRESS = "127.0.0.11";
const never = new AbortController().signal;

/** A client by UDP. */
class Client implements Disposable {
  readonly #socket = inetSocket("udp");

  constructor(to: Endpoint) {
    connectInet(this.#socket, to);
  }

  send(message: Uint8Array<ArrayBuffer>): void {
    this.#socket.write(message);
  }

  async receive(): Promise<Uint8Array> {
    const buffer = new Uint8Array(65_536);
    return buffer.slice(0, await readSome(this.#socket, buffer));
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

Deno.test("pods A10: QueryListener hands queries by UDP to the host, and each answer to who has asked", async () => {
  await using listener = new QueryListener();
  const at = listener.listen(ADDRESS, 0);
  using one = new Client(at);
  using other = new Client(at);
  one.send(new TextEncoder().encode("no query"));
  one.send(dnsQuery("one", { id: 1 }));
  const first = await listener.next(never);
  other.send(dnsQuery("other", { id: 2 }));
  const second = await listener.next(never);
  assert.deepEqual([first.message, second.message], [dnsQuery("one", { id: 1 }), dnsQuery("other", { id: 2 })]);
  assert.ok(!first.tcp);
  listener.answer(second.id, dnsAnswer(second.message));
  listener.answer(first.id, dnsAnswer(first.message));
  listener.answer(first.id, dnsAnswer(first.message)); // nobody waits any more
  listener.answer(4711, dnsAnswer(first.message));
  assert.deepEqual(await one.receive(), dnsAnswer(first.message));
  assert.deepEqual(await other.receive(), dnsAnswer(second.message));
});

Deno.test("pods A10: QueryListener takes queries by TCP, several of a connection, with answers of 64 KiB", async () => {
  await using listener = new QueryListener();
  const { port } = listener.listen(ADDRESS, 0);
  using connection = await Deno.connect({ hostname: ADDRESS, port });
  for (const id of [1, 2]) {
    const query = dnsQuery("srv", { id });
    await connection.write(Uint8Array.from([0, query.length, ...query]));
    const asked = await listener.next(never);
    assert.deepEqual([asked.message, asked.tcp], [query, true]);
    const answer = dnsAnswer(query, 65_535);
    listener.answer(asked.id, answer);
    const received = new Uint8Array(2 + answer.length);
    for (let at = 0; at < received.length;) {
      at += await connection.read(received.subarray(at)) ?? assert.fail("cut off");
    }
    assert.deepEqual(received.slice(2), answer);
  }
  await connection.write(Uint8Array.from([0xff, 0xff]));
  assert.equal(await connection.read(new Uint8Array(1)), null, "a query of 64 KiB ends the connection");
});

Deno.test("pods A10: QueryListener holds 256 queries and 32 connections, whoever sends more", async () => {
  const listener = new QueryListener();
  const at = listener.listen(ADDRESS, 0);
  using client = new Client(at);
  for (let id = 0; id < 300; id++) client.send(dnsQuery("srv", { id }));
  const ids = new Set<number>();
  for (let taken = 0; taken < 256; taken++) ids.add((await listener.next(never)).id);
  assert.equal(ids.size, 256);
  const end = new AbortController();
  const next = listener.next(end.signal);
  end.abort(new Error("no more"));
  await assert.rejects(next, /no more/);
  const connections = await Promise.all(
    Array.from({ length: 33 }, () => Deno.connect({ hostname: ADDRESS, port: at.port })),
  );
  const closed = await Promise.race(
    connections.map((connection, at) => connection.read(new Uint8Array(1)).then((count) => [at, count])),
  );
  assert.equal(closed[1], null);
  await listener[Symbol.asyncDispose]();
  for (const connection of connections) connection.close();
});

Deno.test("pods A10: QueryListener leaves queries in the socket while it holds 256, and takes them when there is room", async () => {
  await using listener = new QueryListener();
  using client = new Client(listener.listen(ADDRESS, 0));
  const held: number[] = [];
  const take = async () => held.push((await listener.next(never)).id);
  for (let id = 0; id < 200; id++) client.send(dnsQuery("srv", { id }));
  while (held.length < 200) await take();
  for (let id = 200; id < 276; id++) client.send(dnsQuery("srv", { id }));
  while (held.length < 256) await take();
  for (const id of held.slice(0, 20)) listener.answer(id, new Uint8Array());
  while (held.length < 276) await take();
  assert.equal(new Set(held).size, 276);
});

Deno.test("pods A10: QueryListener takes 64 datagrams at most before all else has a turn, so that nobody stalls the agent", async () => {
  await using listener = new QueryListener();
  using client = new Client(listener.listen(ADDRESS, 0));
  for (let id = 0; id < 240; id++) client.send(dnsQuery("srv", { id }));
  await listener.next(never);
  let hadTurn = false;
  const turn = Promise.withResolvers<undefined>();
  setTimeout(() => {
    hadTurn = true;
    turn.resolve(undefined);
  }, 0);
  let taken = 1;
  while (!hadTurn && await Promise.race([listener.next(never), turn.promise]) !== undefined) taken++;
  assert.ok(taken < 240, `${taken} datagrams before a timer`);
  while (taken++ < 239) await listener.next(never); // one is the race's
});

Deno.test("pods A10: QueryListener ends a connection whose client takes no answer", async () => {
  await using listener = new QueryListener({ idleMs: 100 });
  const { port } = listener.listen(ADDRESS, 0);
  using connection = await Deno.connect({ hostname: ADDRESS, port });
  const query = dnsQuery("srv", { id: 1 });
  const framed = Uint8Array.from([0, query.length, ...query]);
  const end = new AbortController();
  const host = (async () => {
    for (;;) {
      const { id, message } = await listener.next(end.signal);
      listener.answer(id, dnsAnswer(message, 65_535));
    }
  })().catch(() => {});
  for (let sent = 0; sent < 300; sent++) await connection.write(framed);
  await assert.rejects(async () => {
    for (let tries = 0; tries < 200; tries++) {
      await delay(50);
      await connection.write(framed);
    }
  }, /ECONNRESET|EPIPE|reset|Broken pipe/i);
  end.abort();
  await host;
});

Deno.test("QueryListener.listen() takes an address of the loopback, once", async () => {
  await using listener = new QueryListener();
  assert.throws(() => listener.listen("10.0.0.1", 0), { code: "INVALID_ARGUMENT" });
  listener.listen(ADDRESS, 0);
  listener.listen(ADDRESS, 0);
  assert.throws(() => listener.listen("127.0.0.12", 0), { code: "FAILED_PRECONDITION" });
});
