/** A client and a server of the test service, over each kind of stream. */
import assert from "node:assert/strict";
import { type Client, type ConnectError, createClient, type ServiceImpl } from "@connectrpc/connect";
import { createLogger } from "../../../base/log.ts";
import { Health } from "../../../proto/health_pb.ts";
import { createTtrpcTransport, type TtrpcTransport, type TtrpcTransportOptions } from "../client.ts";
import type { Duplex } from "../../transport/duplex.ts";
import { listenSerial } from "../../transport/serial_guest.ts";
import { connectSerial } from "../../transport/serial_host.ts";
import { defineService, serveConnection, type ServeOptions } from "../server.ts";
import { Echo } from "./echo_pb.ts";

/** Makes the two ends of a connection, by kind. */
export const CONNECT = { unix: unixStreams, serial: serialStreams };

export type Streams = { client: Duplex; server: Duplex };

async function unixStreams(): Promise<Streams> {
  const dir = await Deno.makeTempDir();
  try {
    using listener = Deno.listen({ transport: "unix", path: `${dir}/s` });
    const [client, server] = await Promise.all([
      Deno.connect({ transport: "unix", path: `${dir}/s` }),
      listener.accept(),
    ]);
    return { client, server };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function serialStreams(): Promise<Streams> {
  const { client: host, server: port } = await unixStreams();
  const listener = listenSerial(port);
  const client = await connectSerial(host, new AbortController().signal);
  const { value } = await listener[Symbol.asyncIterator]().next();
  const connection: Duplex = value;
  const close = () => {
    connection.close();
    listener.close();
  };
  return {
    client,
    server: {
      read: (buffer) => connection.read(buffer),
      write: (data) => connection.write(data),
      close,
      [Symbol.dispose]: close,
    },
  };
}

export interface Setup {
  client: Client<typeof Echo>;
  transport: TtrpcTransport;
  /** Starts the server's shutdown. */
  stop: AbortController;
  /** Ends when the server has. */
  serving: Promise<void>;
}

export interface With {
  impl?: Partial<ServiceImpl<typeof Echo>>;
  client?: Partial<TtrpcTransportOptions>;
  server?: Partial<ServeOptions>;
}

const log = createLogger({ sink: () => {} });

/** Runs `test` with a client and a server; afterwards nothing of them may be left, or the sanitizers complain. */
export async function withEcho(
  connect: () => Promise<Streams>,
  { impl = {}, client, server }: With,
  test: (setup: Setup) => Promise<void>,
): Promise<void> {
  const streams = await connect();
  const stop = new AbortController();
  const services = [defineService(Echo, impl), defineService(Health, { check: () => ({ status: 1 }) })];
  const serving = serveConnection(streams.server, services, {
    signal: stop.signal,
    log,
    drainMs: 20,
    lingerMs: 20,
    ...server,
  });
  const transport = createTtrpcTransport(streams.client, { peer: "the echo", ...client });
  try {
    await test({ client: createClient(Echo, transport), transport, stop, serving });
  } finally {
    transport[Symbol.dispose]();
    await transport.closed;
    stop.abort();
    await serving;
  }
}

/** Returns the error with which `promise` fails. */
export async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  return await promise.then(() => assert.fail("the call did not fail"), (error) => error);
}

/** Answers a Text in capitals. */
export function say({ text, data }: { text: string; data: Uint8Array }): { text: string; data: Uint8Array } {
  return { text: text.toUpperCase(), data };
}
