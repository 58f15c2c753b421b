/**
 * The guest's end of name resolution by the host: takes queries of containers on an address of the loopback, hands them to
 * the host when it asks for them, and sends its answers back.
 *
 * @module
 */
import { ANSWER_BYTES, DNS_PORT, isQuery, QUERY_BYTES } from "../../agent_api/dns.ts";
import { abortable } from "../../base/async.ts";
import { KataError } from "../../base/error.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { readable } from "../../linux/io/poll.ts";
import { bindInet, type Endpoint, inetSocket, receiveFrom, type Sender, sendTo } from "../../linux/net/inet_socket.ts";

/** Queries without an answer; a resolver asks again if more are dropped. */
const MOST_QUERIES = 256;
/** The host gives up far earlier. */
const QUERY_MS = 15_000;
const MOST_CONNECTIONS = 32;
/** A connection without a query. */
const IDLE_MS = 10_000;
const LOOPBACK = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;

export interface GuestQuery {
  id: number;
  message: Uint8Array<ArrayBuffer>;
  tcp: boolean;
}

/** A query and how its answer goes back; without one nothing does. */
interface Asked {
  query: GuestQuery;
  reply(message: Uint8Array<ArrayBuffer> | undefined): void;
}

/** Disposing it ends all. */
export class QueryListener implements Disposable {
  readonly #end = new AbortController();
  readonly #stack = new DisposableStack();
  readonly #asked = new Map<number, Asked>();
  /** Ids of queries that the host has not taken yet. */
  readonly #waiting: number[] = [];
  #news = Promise.withResolvers<void>();
  #address: string | undefined;
  #last = 0;
  #connections = 0;

  /**
   * Listens on port 53 of an address of the loopback. Doing so twice is no error.
   *
   * @throws {KataError} INVALID_ARGUMENT, FAILED_PRECONDITION: it listens elsewhere. @throws {ErrnoError} EADDRINUSE
   */
  listen(address: string, port: number = DNS_PORT): Endpoint {
    if (!LOOPBACK.test(address)) {
      throw new KataError("INVALID_ARGUMENT", `Cannot listen for queries on ${JSON.stringify(address)}: no loopback`);
    }
    if (this.#address !== undefined && this.#address !== address) {
      throw new KataError("FAILED_PRECONDITION", `Cannot listen on "${address}" too: it is "${this.#address}"`);
    }
    const end = { address, port };
    if (this.#address !== undefined) return end;
    using undo = new DisposableStack();
    const listener = Deno.listen({ hostname: address, port });
    undo.defer(() => listener.close());
    const bound = { address, port: listener.addr.port };
    const socket = undo.use(inetSocket("udp"));
    bindInet(socket, bound);
    this.#stack.use(undo.move());
    this.#address = address;
    void this.#receive(socket);
    void this.#accept(listener);
    return bound;
  }

  /** Waits for the next query. */
  async next(signal: AbortSignal): Promise<GuestQuery> {
    for (;;) {
      signal.throwIfAborted();
      for (let id; (id = this.#waiting.shift()) !== undefined;) {
        const asked = this.#asked.get(id);
        if (asked !== undefined) return asked.query;
      }
      await abortable(this.#news.promise, signal);
    }
  }

  /** Sends an answer. Nobody may wait for it any more. @param message Empty: there is none. */
  answer(id: number, message: Uint8Array): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    asked?.reply(message.length === 0 || message.length > ANSWER_BYTES ? undefined : Uint8Array.from(message));
  }

  /** @returns Whether there was room for it. */
  #ask(query: Omit<GuestQuery, "id">, reply: Asked["reply"]): boolean {
    if (this.#asked.size >= MOST_QUERIES) return false;
    const id = this.#last = (this.#last + 1) >>> 0;
    const timer = setTimeout(() => this.answer(id, new Uint8Array()), QUERY_MS);
    this.#asked.set(id, {
      query: { ...query, id },
      reply: (message) => {
        clearTimeout(timer);
        reply(message);
      },
    });
    this.#waiting.push(id);
    this.#news.resolve();
    this.#news = Promise.withResolvers();
    return true;
  }

  async #receive(socket: Fd): Promise<void> {
    const { signal } = this.#end;
    const buffer = new Uint8Array(QUERY_BYTES + 1);
    while (!signal.aborted) {
      await readable(socket, { signal }).catch(() => {});
      for (let datagram; !signal.aborted && (datagram = receiveFrom(socket, buffer)) !== undefined;) {
        const message = buffer.slice(0, datagram.length);
        const { from } = datagram;
        if (isQuery(message)) this.#ask({ message, tcp: false }, (answer) => replyTo(socket, from, answer));
      }
    }
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    while (!this.#end.signal.aborted) {
      const connection = await listener.accept().catch(() => undefined);
      if (connection === undefined) return;
      if (this.#connections >= MOST_CONNECTIONS) {
        connection.close();
        continue;
      }
      this.#connections++;
      void this.#serve(connection).catch(() => {}).finally(() => this.#connections--);
    }
  }

  /** One query after the other, each with its length before it. */
  async #serve(connection: Deno.TcpConn): Promise<void> {
    using _ = connection;
    const close = () => connection.close();
    this.#end.signal.addEventListener("abort", close);
    using _listening = { [Symbol.dispose]: () => this.#end.signal.removeEventListener("abort", close) };
    for (;;) {
      const idle = setTimeout(close, IDLE_MS);
      const message = await readMessage(connection).finally(() => clearTimeout(idle));
      if (message === undefined || !isQuery(message)) return;
      const answered = Promise.withResolvers<Uint8Array<ArrayBuffer> | undefined>();
      if (!this.#ask({ message, tcp: true }, answered.resolve)) return;
      const answer = await answered.promise;
      if (answer === undefined) return;
      const framed = new Uint8Array(2 + answer.length);
      new DataView(framed.buffer).setUint16(0, answer.length);
      framed.set(answer, 2);
      for (let rest = framed; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
    }
  }

  [Symbol.dispose](): void {
    this.#end.abort();
    for (const id of [...this.#asked.keys()]) this.answer(id, new Uint8Array());
    this.#stack.dispose();
  }
}

/** A client that has gone, or takes nothing, gets nothing. */
function replyTo(socket: Fd, to: Sender, message: Uint8Array<ArrayBuffer> | undefined): void {
  if (message === undefined || !socket.isOpen) return;
  try {
    sendTo(socket, message, to);
  } catch {
    // As where a network loses it: the client asks again.
  }
}

/** @returns undefined at the end, or for a message that is too long. */
async function readMessage(connection: Deno.TcpConn): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const head = await readAll(connection, 2);
  if (head === undefined) return undefined;
  const length = new DataView(head.buffer).getUint16(0);
  return length > QUERY_BYTES ? undefined : await readAll(connection, length);
}

async function readAll(connection: Deno.TcpConn, length: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = await connection.read(bytes.subarray(at));
    if (count === null) return undefined;
    at += count;
  }
  return bytes;
}
