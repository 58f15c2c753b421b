/**
 * Carries name queries of the guest to the server that answers them on a loopback of the host: Docker's, at 127.0.0.11 in
 * the pod's network namespace, where rules of Docker's own lead to it. A guest's frames never meet these rules.
 *
 * The guest chooses nothing but the query: where it goes is fixed, and what is no standard query goes nowhere.
 *
 * @module
 */
import { ANSWER_BYTES, DNS_PORT, failureOf, isAnswerTo, isQuery } from "../../agent_api/dns.ts";
import { Places } from "../../base/async.ts";
import { systemClock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { readSome, writeAll } from "../../linux/io/poll.ts";
import { connectInet, inetSocket } from "../../linux/net/inet_socket.ts";
import { enterNetns } from "../../linux/process/namespace.ts";
import type { AgentConnection } from "./client.ts";
import type { GuestQuery } from "./resolver.ts";

/** Where Docker's containers find the server of their networks. */
const DOCKER_DNS = "127.0.0.11";
const ASKS_DOCKER = /^nameserver\s+127\.0\.0\.11$/;

/** Queries of one guest that are under way; more wait in the guest. */
const MOST_OPEN = 64;
/** Queries of one guest that are taken in one second. */
const MOST_A_SECOND = 1000;
const SECOND_MS = 1000;
/** Docker asks servers elsewhere in turn, each for some seconds. */
const ANSWER_MS = 10_000;
/** A guest that has not taken its answer by then asks again. */
const TAKE_MS = 10_000;

export interface NameForwardOptions {
  /** The pod's network namespace. */
  netns: Fd;
  agent: Pick<AgentConnection, "resolver">;
  log: Logger;
  /** Port of the server; default: 53. Tests have their own. */
  port?: number;
}

/** Disposing it ends all queries. */
export class NameForward implements AsyncDisposable {
  readonly #options: NameForwardOptions;
  readonly #abort = new AbortController();
  readonly #places = new Places(MOST_OPEN);
  readonly #open = new Set<Promise<void>>();
  #taking: Promise<void> | undefined;
  #second = 0;
  #taken = 0;

  constructor(options: NameForwardOptions) {
    this.#options = options;
  }

  /**
   * Begins, unless it has or nobody wants it. A guest that cannot listen is told by the log.
   *
   * @param nameServers Lines of resolv.conf(5) of the containers.
   */
  async serve(nameServers: readonly string[]): Promise<void> {
    if (this.#taking !== undefined || !nameServers.some((line) => ASKS_DOCKER.test(line))) return;
    const { agent: { resolver }, log } = this.#options;
    try {
      await resolver.listen(DOCKER_DNS, { signal: this.#abort.signal });
      this.#taking ??= this.#take();
    } catch (error) {
      log.warning(`Cannot resolve names for the guest at ${DOCKER_DNS}`, { error });
    }
  }

  async #take(): Promise<void> {
    const { agent: { resolver }, log } = this.#options;
    const { signal } = this.#abort;
    try {
      for (;;) {
        const place = await this.#places.take();
        await this.#pace(signal);
        const query = await resolver.next({ signal });
        const answering = this.#answer(query).finally(() => {
          this.#open.delete(answering);
          place[Symbol.dispose]();
        });
        this.#open.add(answering);
      }
    } catch (error) {
      if (!signal.aborted) log.warning("Cannot resolve names for the guest any longer", { error });
    }
  }

  async #pace(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    if (now - this.#second >= SECOND_MS) [this.#second, this.#taken] = [now, 0];
    if (++this.#taken <= MOST_A_SECOND) return;
    await systemClock.sleep(this.#second + SECOND_MS - now, signal);
    [this.#second, this.#taken] = [performance.now(), 1];
  }

  /** Never rejects: without an answer the client asks again, as on any network. */
  async #answer(query: GuestQuery): Promise<void> {
    const { agent: { resolver } } = this.#options;
    const { signal } = this.#abort;
    const answer = isQuery(query.message) ? await this.#resolve(query) : new Uint8Array();
    await resolver.answer(query.id, answer, { signal, timeoutMs: TAKE_MS }).catch(() => {});
  }

  async #resolve({ message, tcp }: GuestQuery): Promise<Uint8Array> {
    const { signal: ended } = this.#abort;
    const over = AbortSignal.timeout(ANSWER_MS);
    const signal = AbortSignal.any([ended, over]);
    const query = Uint8Array.from(message);
    try {
      return await (tcp ? this.#askByTcp(query, signal) : this.#askByUdp(query, signal));
    } catch {
      // Nobody listens, or the answer was cut off; of a server that says nothing, nothing is said.
      return signal.aborted ? new Uint8Array() : failureOf(query);
    }
  }

  async #askByUdp(query: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Uint8Array> {
    using socket = this.#connect("udp");
    await writeAll(socket, query, { signal });
    const buffer = new Uint8Array(ANSWER_BYTES);
    for (;;) {
      const answer = buffer.subarray(0, await readSome(socket, buffer, { signal }));
      if (isAnswerTo(query, answer)) return answer;
    }
  }

  async #askByTcp(query: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Uint8Array> {
    using socket = this.#connect("tcp");
    const framed = new Uint8Array(2 + query.length);
    new DataView(framed.buffer).setUint16(0, query.length);
    framed.set(query, 2);
    await writeAll(socket, framed, { signal });
    const head = await readExactly(socket, 2, signal);
    const answer = await readExactly(socket, new DataView(head.buffer).getUint16(0), signal);
    if (!isAnswerTo(query, answer)) throw new Error("it answers something else");
    return answer;
  }

  #connect(protocol: "tcp" | "udp"): Fd {
    using undo = new DisposableStack();
    const socket = undo.use(this.#socket(protocol));
    connectInet(socket, { address: DOCKER_DNS, port: this.#options.port ?? DNS_PORT });
    undo.move();
    return socket;
  }

  /** Nothing may be awaited meanwhile: this thread is in the pod's namespace. */
  #socket(protocol: "tcp" | "udp"): Fd {
    using _ = enterNetns(this.#options.netns);
    return inetSocket(protocol);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#taking;
    await Promise.all(this.#open);
  }
}

async function readExactly(socket: Fd, length: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = await readSome(socket, bytes.subarray(at), { signal });
    if (count === 0) throw new Error("the answer is cut off");
    at += count;
  }
  return bytes;
}
