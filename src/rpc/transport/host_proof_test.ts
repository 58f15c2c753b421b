import assert from "node:assert/strict";
import { type Duplex, writeAll } from "./duplex.ts";
import { type HostKey, newHostKey, parseHostKey } from "./host_key.ts";
import {
  admitHost,
  type Caller,
  encodeHostMark,
  HOST_CID,
  HOST_KEY_NAME,
  parseHostMark,
  proofOf,
} from "./host_proof.ts";
import { HostPorts } from "./host_ports.ts";

const KEY = newHostKey();
const GUEST_PORT = 1024;

/** A listener whose callers come from context ids as the test says, in order. */
function vsockOf(cids: readonly number[]): { listener: Deno.TcpListener; callers: AsyncIterable<Caller> & Disposable } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let next = 0;
  async function* callers(): AsyncGenerator<Caller> {
    for await (const connection of listener) {
      const { read, write, close } = connection;
      const caller = { read: read.bind(connection), write: write.bind(connection), close: close.bind(connection) };
      yield { ...caller, remoteAddr: { cid: cids[next++] ?? HOST_CID }, [Symbol.dispose]: caller.close };
    }
  }
  return { listener, callers: Object.assign(callers(), { [Symbol.dispose]: () => listener.close() }) };
}

interface Setup extends AsyncDisposable {
  connect(): Promise<Deno.TcpConn>;
  admitted: Duplex[];
  refused: string[];
}

function serve({ key, cids = [] }: { key: HostKey | undefined; cids?: readonly number[] }): Setup {
  const { listener, callers } = vsockOf(cids);
  const refused: string[] = [];
  const admitted: Duplex[] = [];
  const close = () => listener.close();
  const wrapped = { [Symbol.asyncIterator]: () => callers[Symbol.asyncIterator](), close };
  const serving = (async () => {
    const admission = { key, guestPort: GUEST_PORT, onRefused: (reason: string) => refused.push(reason) };
    for await (const duplex of admitHost(wrapped, admission)) {
      admitted.push(duplex);
      await writeAll(duplex, new TextEncoder().encode("hello"));
    }
  })();
  return {
    admitted,
    refused,
    connect: () => Deno.connect({ port: listener.addr.port }),
    async [Symbol.asyncDispose]() {
      close();
      await serving;
      for (const duplex of admitted) duplex.close();
    },
  };
}

/** @returns What the listener's owner says; empty if the connection was closed. */
async function answer(connection: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(100);
  const count = await connection.read(buffer).catch(() => null);
  return new TextDecoder().decode(buffer.subarray(0, count ?? 0));
}

Deno.test("S1: admitHost() serves whoever knows the key, and leaves what follows it", async () => {
  await using server = serve({ key: KEY });
  using host = await server.connect();
  const proof = proofOf(KEY);
  await writeAll(host, proof.subarray(0, 20));
  await new Promise((resolve) => setTimeout(resolve, 10));
  await writeAll(host, Uint8Array.from([...proof.subarray(20), 42]));
  assert.equal(await answer(host), "hello");
  const rest = new Uint8Array(10);
  assert.equal(await server.admitted[0]!.read(rest), 1);
  assert.equal(rest[0], 42);
});

Deno.test.each([
  { what: "another key", sent: proofOf(newHostKey()), reason: "its proof is wrong" },
  { what: "a short frame of ttRPC", sent: new Uint8Array(20), reason: "it begins with no proof" },
  {
    what: "a key that differs in its last digit",
    sent: proofOf(KEY.replace(/.$/, (d) => d === "0" ? "1" : "0") as HostKey),
    reason: "its proof is wrong",
  },
])("S1: admitHost() closes a connection that begins with $what", async ({ sent, reason }) => {
  await using server = serve({ key: KEY });
  using stranger = await server.connect();
  await writeAll(stranger, sent);
  assert.equal(await answer(stranger), "");
  assert.deepEqual(server.refused, [reason]);
  assert.equal(server.admitted.length, 0);
});

Deno.test.each([1, 3, 4_000_000_000])("S1: admitHost() closes what comes from context id %d", async (cid) => {
  for (const key of [KEY, undefined]) {
    await using server = serve({ key, cids: [cid] });
    using stranger = await server.connect();
    await writeAll(stranger, proofOf(KEY)).catch(() => {});
    assert.equal(await answer(stranger), "");
    assert.match(server.refused[0]!, /not from the host/);
  }
});

Deno.test("S1: strangers who send nothing keep the host waiting for nothing, and are not kept for ever", async () => {
  await using server = serve({ key: KEY });
  const silent = await Promise.all(Array.from({ length: 100 }, () => server.connect()));
  using host = await server.connect();
  await writeAll(host, proofOf(KEY));
  assert.equal(await answer(host), "hello");
  assert.equal(server.refused.length, 100 - 63);
  for (const stranger of silent) stranger.close();
});

Deno.test("admitHost() without a key serves whoever comes from the host", async () => {
  await using server = serve({ key: undefined });
  using host = await server.connect();
  assert.equal(await answer(host), "hello");
});

Deno.test("parseHostKey() refuses what is no key, and does not show it", () => {
  assert.equal(parseHostKey(KEY), KEY);
  for (const text of ["", "secret", `${KEY}0`, KEY.toUpperCase().replace(/\d/g, "A")]) {
    assert.throws(() => parseHostKey(text), (error: Error) => text === "" || !error.message.includes(text));
  }
});

Deno.test("parseHostMark() reads what encodeHostMark() wrote", () => {
  for (const usesHostPorts of [true, false]) {
    const text = encodeHostMark({ key: KEY, usesHostPorts });
    assert.deepEqual(parseHostMark(text.slice(HOST_KEY_NAME.length)), { key: KEY, usesHostPorts });
  }
  for (const text of [`${KEY},port`, `${KEY} ports`, ",ports", `${KEY},ports,ports`]) {
    assert.throws(() => parseHostMark(text), RangeError, text);
  }
});

/** A connection that counts its reads, and whose peer has sent `sent` and nothing more. */
class FakeCaller {
  readonly remoteAddr: { cid: number; port: number };
  readonly #sent: Uint8Array;
  #end = Promise.withResolvers<null>();
  #at = 0;
  reads = 0;
  closed = 0;

  constructor(port: number, sent: Uint8Array = new Uint8Array()) {
    this.remoteAddr = { cid: HOST_CID, port };
    this.#sent = sent;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    this.reads++;
    const piece = this.#sent.subarray(this.#at, this.#at + buffer.length);
    if (piece.length === 0) return this.#end.promise;
    buffer.set(piece);
    this.#at += piece.length;
    return Promise.resolve(piece.length);
  }

  write(data: Uint8Array): Promise<number> {
    return Promise.resolve(data.length);
  }

  close(): void {
    this.closed++;
    this.#end.resolve(null);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Serves callers in this order. @returns Those who were let in. */
async function admitInOrder(callers: readonly FakeCaller[], { guestPort = GUEST_PORT } = {}): Promise<Duplex[]> {
  const listener = Object.assign(
    (async function* () {
      yield* callers;
      // A moment for those who prove themselves; the listener of an agent never ends.
      await new Promise((resolve) => setTimeout(resolve, 0));
    })(),
    { close: () => {} },
  );
  const admitted: Duplex[] = [];
  const admission = { key: KEY, usesHostPorts: true, guestPort, onRefused: () => {} };
  using server = admitHost(listener, admission);
  for await (const duplex of server) admitted.push(duplex);
  return admitted;
}

Deno.test("S1: 10,000 strangers at once leave the host its place: they are sent away by their port, without a read", async () => {
  const ports = await HostPorts.derive(KEY, GUEST_PORT);
  const host = new FakeCaller(ports.any(), proofOf(KEY));
  // One of so many would hit upon a port of the host's in every hundredth run.
  const foreign = Array.from({ length: 10_100 }, (_, index) => 100_000 + index).filter((port) => !ports.use(port));
  const strangers = foreign.slice(0, 10_000).map((port) => new FakeCaller(port));
  const callers = [...strangers.slice(0, 5_000), host, ...strangers.slice(5_000)];
  assert.deepEqual(await admitInOrder(callers), [host]);
  assert.ok(strangers.every(({ reads, closed }) => reads === 0 && closed === 1));
});

Deno.test("S1: a port lets in once, and at one port of the guest only; a host that was started anew uses the rest", async () => {
  const port = (await HostPorts.derive(KEY, GUEST_PORT)).any();
  const [first, replay] = [new FakeCaller(port, proofOf(KEY)), new FakeCaller(port, proofOf(KEY))];
  const restarted = new FakeCaller(await otherPort(port), proofOf(KEY));
  assert.deepEqual(await admitInOrder([first, replay, restarted]), [first, restarted]);
  assert.deepEqual(await admitInOrder([new FakeCaller(port, proofOf(KEY))], { guestPort: 1025 }), []);
});

async function otherPort(than: number): Promise<number> {
  const ports = await HostPorts.derive(KEY, GUEST_PORT);
  for (;;) {
    const port = ports.any();
    if (port !== than) return port;
  }
}

Deno.test("S1: admitHost() asks for the proof behind the right port as well", async () => {
  const ports = await HostPorts.derive(KEY, GUEST_PORT);
  assert.deepEqual(await admitInOrder([new FakeCaller(ports.any(), proofOf(newHostKey()))]), []);
});

Deno.test("admitHost() closes what nobody takes any more", async () => {
  const callers = Array.from({ length: 3 }, () => new FakeCaller(1));
  const listener = Object.assign(
    (async function* () {
      yield* callers;
    })(),
    { close: () => {} },
  );
  using server = admitHost(listener, { key: undefined, guestPort: GUEST_PORT, onRefused: () => {} });
  for await (const first of server) {
    assert.equal(first, callers[0]);
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(callers.map(({ closed }) => closed), [0, 1, 1]);
});
