/**
 * How much of a unix socket's speed is left to ttRPC calls: round trips per second between two processes, one and 32 in
 * flight, beside frames of the same size that nobody encodes or dispatches.
 *
 * Usage: bench_ttrpc.ts [SECONDS]     prints one line per case
 *
 * @module
 */
import { createClient } from "@connectrpc/connect";
import { createLogger } from "../src/base/log.ts";
import { Health } from "../src/proto/health_pb.ts";
import { createTtrpcTransport } from "../src/rpc/client.ts";
import { defineService, serveTtrpc } from "../src/rpc/server.ts";

const IN_FLIGHT = [1, 32];
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

/** Round trips per second; the first second warms up and does not count. */
async function measure(peer: Peer, { inFlight, seconds }: { inFlight: number; seconds: number }): Promise<number> {
  let calls = 0;
  const begin = performance.now() + 1000;
  const end = begin + seconds * 1000;
  const workers = Array.from({ length: inFlight }, async () => {
    for (let now = performance.now(); now < end; now = performance.now()) {
      await peer.call();
      if (now >= begin) calls++;
    }
  });
  await Promise.all(workers);
  return calls / seconds;
}

async function compare(kind: Kind, { directory, seconds }: { directory: string; seconds: number }): Promise<number[]> {
  const path = `${directory}/${kind}.sock`;
  const args = ["run", "-A", new URL(import.meta.url).pathname, "serve", kind, path];
  const server = new Deno.Command(Deno.execPath(), { args, stdin: "null" }).spawn();
  try {
    while (!(await Deno.stat(path).then(() => true, () => false))) await new Promise((done) => setTimeout(done, 20));
    const rates: number[] = [];
    for (const inFlight of IN_FLIGHT) {
      await using peer = await CLIENTS[kind](path);
      rates.push(await measure(peer, { inFlight, seconds }));
    }
    return rates;
  } finally {
    server.kill("SIGKILL");
    await server.status;
  }
}

async function main(seconds: number): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "kata-bench-" });
  try {
    const raw = await compare("raw", { directory, seconds });
    const ttrpc = await compare("ttrpc", { directory, seconds });
    IN_FLIGHT.forEach((inFlight, at) => {
      const share = (ttrpc[at]! / raw[at]!).toFixed(2);
      // deno-lint-ignore no-console -- the result
      console.log(`ttrpc_${inFlight}_in_flight ${ttrpc[at]!.toFixed(0)}/s raw ${raw[at]!.toFixed(0)}/s ratio ${share}`);
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const [first = "3", kind, path] = Deno.args;
if (first === "serve") await SERVERS[kind as Kind](path!);
else await main(Number(first));
