/**
 * How much of a unix socket's speed is left to ttRPC calls: round trips per second between two processes, one and 32 in
 * flight, beside frames of the same size that nobody encodes or dispatches. Each of those is one write at either end, and
 * is answered as soon as it is read: nothing waits for others to go with it.
 *
 * Usage: bench_ttrpc.ts [ROUNDS]     the cases take turns of a second; prints one line per case, of medians
 *
 * @module
 */
import { createClient } from "@connectrpc/connect";
import { createLogger } from "../src/base/log.ts";
import { Health } from "../src/proto/health_pb.ts";
import { createTtrpcTransport } from "../src/rpc/ttrpc/client.ts";
import { defineService, serveTtrpc } from "../src/rpc/ttrpc/server.ts";
import { median } from "./bench_report.ts";

const IN_FLIGHT = [1, 32];
const WARM_UP_MS = 1000;
const TURN_MS = 1000;
/** A small call: header, service, method, a short id. */
const FRAME_BYTES = 42;

const SERVERS = { raw: serveRaw, ttrpc: serveCalls };
const CLIENTS = { raw: connectRaw, ttrpc: connectCalls };
type Kind = keyof typeof SERVERS;

/** One round trip, to be called from many places at once. */
interface Peer extends AsyncDisposable {
  call(): Promise<unknown>;
}

async function serveRaw(path: string): Promise<void> {
  for await (const socket of Deno.listen({ transport: "unix", path })) {
    const reply = new Uint8Array(FRAME_BYTES);
    await eachFrame(socket, () => void socket.write(reply));
  }
}

async function serveCalls(path: string): Promise<void> {
  const health = defineService(Health, { check: () => ({ status: 1 }) });
  const { signal } = new AbortController();
  const log = createLogger({ sink: () => {} });
  await serveTtrpc(Deno.listen({ transport: "unix", path }), [health], { signal, log });
}

async function connectRaw(path: string): Promise<Peer> {
  const socket = await Deno.connect({ transport: "unix", path });
  const frame = new Uint8Array(FRAME_BYTES);
  const waiting: (() => void)[] = [];
  const reading = eachFrame(socket, () => waiting.shift()?.());
  return {
    async call() {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      await socket.write(frame);
      await promise;
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      await reading;
    },
  };
}

async function connectCalls(path: string): Promise<Peer> {
  const transport = createTtrpcTransport(await Deno.connect({ transport: "unix", path }), { peer: "the server" });
  const client = createClient(Health, transport);
  return {
    call: () => client.check({ service: "agent" }),
    async [Symbol.asyncDispose]() {
      transport[Symbol.dispose]();
      await transport.closed;
    },
  };
}

async function eachFrame(socket: Deno.Conn, onFrame: () => void): Promise<void> {
  const buffer = new Uint8Array(64 << 10);
  let have = 0;
  for (;;) {
    const count = await socket.read(buffer).catch(() => null);
    if (count === null) return;
    for (have += count; have >= FRAME_BYTES; have -= FRAME_BYTES) onFrame();
  }
}

/** Round trips per second. */
async function measure(peer: Peer, { inFlight, ms }: { inFlight: number; ms: number }): Promise<number> {
  let calls = 0;
  const begin = performance.now();
  const workers = Array.from({ length: inFlight }, async () => {
    for (; performance.now() < begin + ms; calls++) await peer.call();
  });
  await Promise.all(workers);
  return calls / (performance.now() - begin) * 1000;
}

/** A server of its own process, and a connection to it. */
async function startPeer(kind: Kind, directory: string): Promise<Peer> {
  const path = `${directory}/${kind}.sock`;
  const args = ["run", "-A", new URL(import.meta.url).pathname, "serve", kind, path];
  await using stack = new AsyncDisposableStack();
  const server = new Deno.Command(Deno.execPath(), { args, stdin: "null" }).spawn();
  stack.defer(async () => {
    server.kill("SIGKILL");
    await server.status;
  });
  while (!(await Deno.stat(path).then(() => true, () => false))) await new Promise((done) => setTimeout(done, 20));
  const peer = stack.use(await CLIENTS[kind](path));
  const ended = stack.move();
  return { call: () => peer.call(), [Symbol.asyncDispose]: () => ended.disposeAsync() };
}

async function compare(directory: string, rounds: number): Promise<void> {
  await using raw = await startPeer("raw", directory);
  await using ttrpc = await startPeer("ttrpc", directory);
  for (const inFlight of IN_FLIGHT) {
    const rates = { raw: [] as number[], ttrpc: [] as number[] };
    for (const peer of [raw, ttrpc]) await measure(peer, { inFlight, ms: WARM_UP_MS });
    for (let round = 0; round < rounds; round++) {
      rates.raw.push(await measure(raw, { inFlight, ms: TURN_MS }));
      rates.ttrpc.push(await measure(ttrpc, { inFlight, ms: TURN_MS }));
    }
    const [ours, theirs] = [median(rates.ttrpc), median(rates.raw)];
    const share = (ours / theirs).toFixed(2);
    // deno-lint-ignore no-console -- the result
    console.log(`ttrpc_${inFlight}_in_flight ${ours.toFixed(0)}/s raw ${theirs.toFixed(0)}/s ratio ${share}`);
  }
}

async function main(rounds: number): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "kata-bench-" });
  try {
    await compare(directory, rounds);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const [first = "5", kind, path] = Deno.args;
if (first === "serve") await SERVERS[kind as Kind](path!);
else await main(Number(first));
