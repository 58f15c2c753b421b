import assert from "node:assert/strict";
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
  using listener = new QueryListener();
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
  using listener = new QueryListener();
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
  listener[Symbol.dispose]();
  for (const connection of connections) connection.close();
});

Deno.test("QueryListener.listen() takes an address of the loopback, once", () => {
  using listener = new QueryListener();
  assert.throws(() => listener.listen("10.0.0.1", 0), { code: "INVALID_ARGUMENT" });
  listener.listen(ADDRESS, 0);
  listener.listen(ADDRESS, 0);
  assert.throws(() => listener.listen("127.0.0.12", 0), { code: "FAILED_PRECONDITION" });
});
