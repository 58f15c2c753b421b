import assert from "node:assert/strict";
import { abortable } from "../../base/async.ts";
import { createLogger } from "../../base/log.ts";
import { countReactions } from "../../base/testing/reactions.ts";
import { listenOnLoopback, localPort } from "../../linux/net/inet_socket.ts";
import { PortForward, type PortForwardOptions } from "./port_forward.ts";
import type { GuestPorts } from "./ports.ts";

const log = createLogger({ sink: () => {} });
function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

const MORE_THAN_SOCKETS_HOLD = 64 << 20;

type Agent = PortForwardOptions["agent"];

/** A guest that has one connection, to a server that neither takes nor sends. */
const SILENT: GuestPorts = {
  open: () => Promise.resolve(1),
  read: (_id, { signal }) => abortable(new Promise(() => {}), signal!),
  write: (_id, _data, { signal } = {}) => abortable(new Promise(() => {}), signal!),
  finish: (_id, { signal } = {}) => abortable(new Promise(() => {}), signal!),
  close: () => Promise.resolve(),
};

/** An agent whose guest has one connection, to a server that answers what was sent when that has ended. */
function echoAgent({ takeMs = 0 } = {}): { agent: Agent; written: Promise<void>; closed: Promise<void> } {
  const pieces: Uint8Array[] = [];
  const written = Promise.withResolvers<void>();
  const finished = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const ports: GuestPorts = {
    open: () => Promise.resolve(1),
    async write(_id, data) {
      if (takeMs > 0) await new Promise((resolve) => setTimeout(resolve, takeMs));
      pieces.push(data.slice());
      written.resolve();
    },
    finish() {
      finished.resolve();
      return Promise.resolve();
    },
    async read(_id, { signal }) {
      await abortable(finished.promise, signal!);
      return pieces.shift() ?? new Uint8Array();
    },
    close() {
      closed.resolve();
      return Promise.resolve();
    },
  };
  return { agent: { ports }, written: written.promise, closed: closed.promise };
}

function open(agent: Agent): { port: number } & AsyncDisposable {
  const listener = listenOnLoopback("inet", 4);
  const forward = new PortForward({ listeners: [listener], [Symbol.dispose]() {} }, { agent, log });
  return {
    port: localPort(listener),
    async [Symbol.asyncDispose]() {
      await forward[Symbol.asyncDispose]();
      listener[Symbol.dispose]();
    },
  };
}

Deno.test("PortForward carries both directions and each one's end by itself", async () => {
  const { agent, closed } = echoAgent();
  await using forward = open(agent);
  const client = await Deno.connect({ hostname: "127.0.0.1", port: forward.port });
  await client.write(new TextEncoder().encode("ping"));
  await client.closeWrite();
  assert.equal((await Array.fromAsync(client.readable)).map(text).join(""), "ping");
  await closed;
});

Deno.test("PortForward keeps order and loses nothing, though it reads on while a piece is on its way", async () => {
  const { agent, closed } = echoAgent({ takeMs: 1 });
  await using forward = open(agent);
  const client = await Deno.connect({ hostname: "127.0.0.1", port: forward.port });
  const sent = crypto.getRandomValues(new Uint8Array(60_001));
  const many = 64;
  const writing = (async () => {
    for (let round = 0; round < many; round++) {
      for (let rest = sent; rest.length > 0;) rest = rest.subarray(await client.write(rest));
    }
    await client.closeWrite();
  })();
  const got = await new Response(client.readable).bytes();
  await writing;
  assert.equal(got.length, many * sent.length);
  assert.ok(got.every((byte, at) => byte === sent[at % sent.length]));
  await closed;
});

Deno.test("PortForward asks the guest for more while its client takes what came before", async () => {
  const again = Promise.withResolvers<void>();
  let reads = 0;
  const ports: GuestPorts = {
    ...SILENT,
    read(id, options) {
      if (++reads === 1) return Promise.resolve(new Uint8Array(MORE_THAN_SOCKETS_HOLD));
      again.resolve();
      return SILENT.read(id, options);
    },
  };
  const forward = open({ ports });
  using _client = await Deno.connect({ hostname: "127.0.0.1", port: forward.port });
  await again.promise;
  await forward[Symbol.asyncDispose]();
});

Deno.test("PortForward resets a connection that nobody in the guest takes", async () => {
  await using forward = open({ ports: { ...SILENT, open: () => Promise.reject(new Error("refused")) } });
  await assert.rejects(async () => {
    using client = await Deno.connect({ hostname: "127.0.0.1", port: forward.port });
    await client.read(new Uint8Array(1));
  }, Deno.errors.ConnectionReset);
});

Deno.test("PortForward ends the connections that are open when it is disposed", async () => {
  const { agent, written, closed } = echoAgent();
  const forward = open(agent);
  using client = await Deno.connect({ hostname: "127.0.0.1", port: forward.port });
  await client.write(new TextEncoder().encode("ping"));
  await client.write(new TextEncoder().encode("pong"));
  await written; // before that, it may still wait to be accepted
  const read = client.read(new Uint8Array(1));
  await forward[Symbol.asyncDispose]();
  await assert.rejects(read, Deno.errors.ConnectionReset);
  await closed;
});

Deno.test("PortForward keeps nothing of a connection that ends while the guest is told that no more comes", async () => {
  const finishing = Promise.withResolvers<void>();
  const ports: GuestPorts = {
    ...SILENT,
    finish(id, options) {
      finishing.resolve();
      return SILENT.finish(id, options);
    },
  };
  using timer = countTimers();
  const forward = open({ ports });
  using client = await Deno.connect({ hostname: "127.0.0.1", port: forward.port });
  await client.closeWrite();
  await finishing.promise;
  await forward[Symbol.asyncDispose]();
  assert.equal(timer.running(), 0);
});

/** Counts intervals that nobody clears: they keep all that they use. */
function countTimers(): Disposable & { running(): number } {
  const { setInterval: set, clearInterval: clear } = globalThis;
  const running = new Set<unknown>();
  globalThis.setInterval = ((...args: Parameters<typeof set>) => {
    const timer = set(...args);
    running.add(timer);
    return timer;
  }) as typeof set;
  globalThis.clearInterval = (timer) => {
    running.delete(timer);
    clear(timer);
  };
  return {
    running: () => running.size,
    [Symbol.dispose]() {
      for (const timer of running) clear(timer as number);
      Object.assign(globalThis, { setInterval: set, clearInterval: clear });
    },
  };
}

Deno.test("atk3 1: a guest that leaves 127 connections unanswered costs PortForward nothing for each further one", async () => {
  using reactions = countReactions();
  const stuck = 127;
  let opened = 0;
  const ports: GuestPorts = {
    ...SILENT,
    open: (_port, { signal } = {}) =>
      ++opened <= stuck ? abortable(new Promise<never>(() => {}), signal!) : Promise.reject(new Error("refused")),
  };
  await using forward = open({ ports });
  await using clients = new AsyncDisposableStack();
  for (let count = 0; count < stuck; count++) {
    clients.use(await Deno.connect({ hostname: "127.0.0.1", port: forward.port }));
  }
  for (let count = 0; count < 100; count++) {
    await assert.rejects(async () => {
      using client = await Deno.connect({ hostname: "127.0.0.1", port: forward.port });
      await client.read(new Uint8Array(1));
    }, Deno.errors.ConnectionReset);
  }
  assert.equal(opened, stuck + 100);
  assert.ok(reactions.most() < 10, `${reactions.most()} reactions on one promise`);
});
