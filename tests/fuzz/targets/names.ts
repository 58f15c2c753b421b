/** Name queries: the guest's end with containers and a host that send anything, and what the host passes on. @module */
import { QueryListener } from "../../../src/agent/network/query_listener.ts";
import { failureOf, isAnswerTo, isQuery } from "../../../src/agent_api/dns.ts";
import { dnsQuery } from "../../../src/agent_api/testing/dns_query.ts";
import { connectInet, type Endpoint, inetSocket } from "../../../src/linux/net/inet_socket.ts";
import { cut, mutateBytes } from "../core/bytes.ts";
import type { Random } from "../core/random.ts";
import { defineTarget, hold } from "../core/target.ts";

const ADDRESS = "127.0.0.11";
const SILENCE_MS = 20;

function anyMessage(random: Random): Uint8Array<ArrayBuffer> {
  if (random.once(6)) return random.bytes(random.below(5_000));
  const labels = random.times(random.between(1, 5), () => "x".repeat(random.between(1, random.once(5) ? 200 : 20)));
  const query = dnsQuery(labels.join("."), { id: random.below(65_536), type: random.pick([1, 28, 252, 255]) });
  return random.once(2) ? query : mutateBytes(random, query);
}

export const nameQueries = defineTarget({
  name: "name-queries",
  rounds: 2000,
  make: (random) => ({ message: anyMessage(random), other: anyMessage(random) }),
  run({ message, other }) {
    if (!isQuery(message)) return;
    const failure = failureOf(message);
    hold(isAnswerTo(message, failure), "a failure answers its query");
    hold(failure.length <= message.length, "a failure is no longer than its query");
    hold(!isAnswerTo(message, message), "a query is no answer");
    if (isAnswerTo(message, other)) {
      hold(other[0] === message[0] && other[1] === message[1], "an answer has the number");
    }
  },
});

export const guestNames = defineTarget({
  name: "guest-names",
  rounds: 30,
  make: (random) => ({
    datagrams: random.times(random.between(0, 20), () => anyMessage(random)),
    streams: random.times(random.between(0, 3), () => cut(random, framed(random))),
    answers: random.times(random.between(0, 8), () => ({ id: random.below(8), message: anyMessage(random) })),
  }),
  async run({ datagrams, streams, answers }) {
    using listener = new QueryListener();
    const at = listener.listen(ADDRESS, 0);
    const sent = new Set([...datagrams].map(String));
    using _client = sendAll(at, datagrams);
    const connections = await Promise.all(streams.map((pieces) => visit(at, pieces)));
    const { signal, [Symbol.dispose]: end } = timer();
    for (;;) {
      const query = await listener.next(signal).catch(() => undefined);
      if (query === undefined) break;
      hold(isQuery(query.message), "the host is handed queries alone");
      hold(query.tcp || sent.has(String(query.message)), "a query is passed on as it came");
      if (query.id % 2 === 0) listener.answer(query.id, query.message);
    }
    end();
    for (const { id, message } of answers) listener.answer(id, message);
    for (const connection of connections) connection.close();
  },
});

/** Messages as TCP has them, the length of each before it, often wrong. */
function framed(random: Random): Uint8Array<ArrayBuffer> {
  const message = anyMessage(random);
  const length = random.once(4) ? random.below(65_536) : message.length;
  return Uint8Array.from([length >> 8, length & 0xff, ...message]);
}

function sendAll(to: Endpoint, datagrams: readonly Uint8Array<ArrayBuffer>[]): Disposable {
  const socket = inetSocket("udp");
  connectInet(socket, to);
  for (const datagram of datagrams) socket.write(datagram);
  return socket;
}

async function visit({ address, port }: Endpoint, pieces: readonly Uint8Array<ArrayBuffer>[]): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: address, port });
  // A connection that the listener has ended takes no more.
  for (const piece of pieces) await connection.write(piece).catch(() => {});
  return connection;
}

function timer(): { signal: AbortSignal } & Disposable {
  const over = new AbortController();
  const handle = setTimeout(() => over.abort(), SILENCE_MS);
  return { signal: over.signal, [Symbol.dispose]: () => clearTimeout(handle) };
}
