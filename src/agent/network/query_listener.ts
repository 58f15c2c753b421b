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
/** A connection without a query, or whose client does not take an answer. */
const IDLE_MS = 10_000;
/** Datagrams, or connections, in a row: whoever sends faster than they are read must not keep all else from going on. */
const LONGEST_STREAK = 64;
const LOOPBACK = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;

export interface GuestQuery {
  id: number;
  message: Uint8Array<ArrayBuffer>;
  tcp: boolean;
}

/** A query and how its answer goes back; without one nothing does. */
interface Asked {
  query: GuestQuery;
  /** The host has it. */
  isTaken: boolean;
  reply(message: Uint8Array<ArrayBuffer> | undefined): void;
}

/** Disposing it ends all; `await using` waits for the last read too. */
export class QueryListener implements Disposable, AsyncDisposable {
  readonly #end = new AbortController();
  readonly #stack = new DisposableStack();
  readonly #asked = new Map<number, Asked>();
  readonly #idleMs: number;
  #news = Promise.withResolvers<void>();
  #room = Promise.withResolvers<void>();
  #receiving: Promise<void> | undefined;
  #address: string | undefined;
  #last = 0;
  #connections = 0;

  constructor({ idleMs = IDLE_MS }: { idleMs?: number } = {}) {
    this.#idleMs = idleMs;
  }

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
    this.#receiving = this.#receive(socket);
    void this.#accept(listener);
    return bound;
  }

  /** Waits for the next query. */
  async next(signal: AbortSignal): Promise<GuestQuery> {
    for (;;) {
      signal.throwIfAborted();
      const asked = this.#asked.values().find(({ isTaken }) => !isTaken);
      if (asked !== undefined) {
        asked.isTaken = true;
        return asked.query;
      }
      await abortable(this.#news.promise, signal);
    }
  }

  /** Sends an answer. Nobody may wait for it any more. @param message Empty: there is none. */
  answer(id: number, message: Uint8Array): void {
    const asked = this.#asked.get(id);
    if (this.#asked.delete(id)) this.#room.resolve();
    asked?.reply(message.length === 0 || message.length > ANSWER_BYTES ? undefined : Uint8Array.from(message));
  }

  /** @returns Whether there was room for it. */
  #ask(query: Omit<GuestQuery, "id">, reply: Asked["reply"]): boolean {
    if (this.#asked.size >= MOST_QUERIES) return false;
    const id = this.#last = (this.#last + 1) >>> 0;
    const timer = setTimeout(() => this.answer(id, new Uint8Array()), QUERY_MS);
    this.#asked.set(id, {
      query: { ...query, id },
      isTaken: false,
      reply: (message) => {
        clearTimeout(timer);
        reply(message);
      },
    });
    this.#news.resolve();
    this.#news = Promise.withResolvers();
    return true;
  }

  async #receive(socket: Fd): Promise<void> {
    const { signal } = this.#end;
    const buffer = new Uint8Array(QUERY_BYTES + 1);
    while (!signal.aborted) {
      await readable(socket, { signal }).catch(() => {});
      let left = LONGEST_STREAK;
      for (; left > 0 && this.#hasRoom(); left--) {
        const datagram = receiveFrom(socket, buffer);
        if (datagram === undefined) break;
        const message = buffer.slice(0, datagram.length);
        const { from } = datagram;
        if (isQuery(message)) this.#ask({ message, tcp: false }, (answer) => replyTo(socket, from, answer));
      }
      if (left === 0) await nextTurn();
      // What is not read stays in the socket, where the kernel drops what is too much.
      while (!signal.aborted && !this.#hasRoom()) await this.#untilRoom();
    }
  }

  #hasRoom(): boolean {
    return !this.#end.signal.aborted && this.#asked.size < MOST_QUERIES;
  }

  /** Ends with the listener too, which answers all. */
  async #untilRoom(): Promise<void> {
    this.#room = Promise.withResolvers();
    await this.#room.promise;
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    for (let count = 1; !this.#end.signal.aborted; count++) {
      const connection = await listener.accept().catch(() => undefined);
      if (connection === undefined) return;
      // One that is there already comes without a turn.
      if (count % LONGEST_STREAK === 0) await nextTurn();
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
      const message = await this.#within(close, () => readMessage(connection));
      if (message === undefined || !isQuery(message)) return;
      const answered = Promise.withResolvers<Uint8Array<ArrayBuffer> | undefined>();
      if (!this.#ask({ message, tcp: true }, answered.resolve)) return;
      const answer = await answered.promise;
      if (answer === undefined) return;
      const framed = new Uint8Array(2 + answer.length);
      new DataView(framed.buffer).setUint16(0, answer.length);
      framed.set(answer, 2);
      await this.#within(close, () => writeMessage(connection, framed));
    }
  }

  /** Lets a client keep us waiting so long, and no longer. @param close Ends what is done. */
  async #within<T>(close: () => void, run: () => Promise<T>): Promise<T> {
    const timer = setTimeout(close, this.#idleMs);
    return await run().finally(() => clearTimeout(timer));
  }

  [Symbol.dispose](): void {
    this.#end.abort();
    for (const id of [...this.#asked.keys()]) this.answer(id, new Uint8Array());
    this.#stack.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    await this.#receiving;
  }
}

/** Lets timers and other events come first: a promise that is settled already does not. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
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

async function writeMessage(connection: Deno.TcpConn, framed: Uint8Array<ArrayBuffer>): Promise<void> {
  for (let rest = framed; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
}
