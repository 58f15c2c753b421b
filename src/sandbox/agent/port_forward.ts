/**
 * Carries connections to the loopback of a pod's network namespace into the guest, to the server that listens there.
 *
 * Each direction has one call in flight, and one piece on its way at this end meanwhile: a slow end slows the other one.
 *
 * @module
 */
import { Places } from "../../base/async.ts";
import type { Logger } from "../../base/log.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { readSome, writeAll } from "../../linux/io/poll.ts";
import { acceptUnix } from "../../linux/net/socket.ts";
import { finishWriting, localPort, resetAtClose } from "../../linux/net/inet_socket.ts";
import type { Loopback } from "../../resources/network/loopback.ts";
import type { AgentConnection } from "./client.ts";
import type { GuestPorts } from "./ports.ts";

/** Bytes per call. */
const CHUNK_BYTES = 256 * 1024;
/** Connections of one pod at a time; more wait to be accepted. */
const MAX_CONNECTIONS = 128;
/** A client that will send no more may have gone altogether, which shows only when something is sent to it. */
const SILENT_MS = 300_000;
/** A guest that does not answer ends anyway. */
const CLOSE_MS = 1_000;

export interface PortForwardOptions {
  agent: Pick<AgentConnection, "ports">;
  log: Logger;
}

/** Begins to accept. Disposing it ends all connections; the listeners may be closed then. */
export class PortForward implements AsyncDisposable {
  readonly #options: PortForwardOptions;
  readonly #abort = new AbortController();
  readonly #places = new Places(MAX_CONNECTIONS);
  readonly #relays = new Set<Promise<void>>();
  readonly #accepting: Promise<unknown>;

  /** @param loopback None: nothing is forwarded. */
  constructor(loopback: Loopback | undefined, options: PortForwardOptions) {
    this.#options = options;
    this.#accepting = Promise.all((loopback?.listeners ?? []).map((listener) => this.#accept(listener)));
  }

  async #accept(listener: Fd): Promise<void> {
    const { signal } = this.#abort;
    try {
      for (;;) {
        const place = await this.#places.take();
        const socket = await acceptUnix(listener, { signal });
        const relay = this.#relay(socket).finally(() => {
          this.#relays.delete(relay);
          place[Symbol.dispose]();
        });
        this.#relays.add(relay);
      }
    } catch (error) {
      if (!signal.aborted) this.#options.log.warning("Cannot forward ports any longer", { error });
    }
  }

  /** Never rejects: a connection that fails is reset, which is what its client learns. */
  async #relay(socket: Fd): Promise<void> {
    using _ = socket;
    const port = localPort(socket);
    const { agent: { ports }, log } = this.#options;
    const { signal } = this.#abort;
    try {
      const id = await ports.open(port, { signal });
      await new Relay(socket, { id, ports, signal }).run();
    } catch (error) {
      resetAtClose(socket);
      if (!signal.aborted) log.info("Reset a forwarded connection", { port, error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#accepting;
    await Promise.all(this.#relays);
  }
}

/** One connection, between the host's socket and the guest's. */
class Relay {
  readonly #socket: Fd;
  readonly #id: number;
  readonly #ports: GuestPorts;
  readonly #failure = new AbortController();
  readonly #signal: AbortSignal;
  #lastReceived = 0;

  constructor(socket: Fd, { id, ports, signal }: { id: number; ports: GuestPorts; signal: AbortSignal }) {
    this.#socket = socket;
    this.#id = id;
    this.#ports = ports;
    this.#signal = AbortSignal.any([signal, this.#failure.signal]);
  }

  /** @throws {Error} Why it ended before both directions had. */
  async run(): Promise<void> {
    this.#socket.setNonblocking();
    const copies = [this.#send(), this.#receive()];
    try {
      await Promise.all(copies);
    } finally {
      this.#failure.abort();
      await Promise.allSettled(copies);
      await this.#ports.close(this.#id, { timeoutMs: CLOSE_MS }).catch(() => {});
    }
  }

  /** To the guest, until the client has sent all. */
  async #send(): Promise<void> {
    const signal = this.#signal;
    const id = this.#id;
    let [buffer, other] = [new Uint8Array(CHUNK_BYTES), new Uint8Array(CHUNK_BYTES)];
    let taken: Promise<boolean> | undefined;
    for (let length; (length = await readSome(this.#socket, buffer, { signal })) > 0;) {
      // A server that takes no more may have answered all the same: receiving decides how it ends.
      if (await taken === false) return;
      const write = this.#ports.write(id, buffer.subarray(0, length), { signal });
      taken = write.then(() => true, () => false);
      [buffer, other] = [other, buffer];
    }
    if (await taken === false) return;
    await this.#ports.finish(id, { signal }).catch(() => {});
    if (signal.aborted) return;
    this.#lastReceived = performance.now();
    this.#giveUpWhenSilent();
  }

  async #receive(): Promise<void> {
    const signal = this.#signal;
    for (let next = this.#read();;) {
      const data = await next;
      if (data.length === 0) break;
      this.#lastReceived = performance.now();
      next = this.#read();
      await writeAll(this.#socket, data as Uint8Array<ArrayBuffer>, { signal });
    }
    finishWriting(this.#socket);
  }

  #read(): Promise<Uint8Array> {
    const answer = this.#ports.read(this.#id, { length: CHUNK_BYTES, signal: this.#signal });
    // Nobody awaits this answer if writing the piece before has failed: its error must not count as unhandled.
    answer.catch(() => {});
    return answer;
  }

  #giveUpWhenSilent(): void {
    const timer = setInterval(() => {
      if (performance.now() - this.#lastReceived < SILENT_MS) return;
      this.#failure.abort(new Error(`Cannot wait any longer: the server was silent for ${SILENT_MS / 1000} s`));
    }, SILENT_MS);
    this.#signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }
}
