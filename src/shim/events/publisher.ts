/**
 * Publishing events to containerd, in order: each waits until containerd has taken the one before. containerd may be away
 * for a while, so an event is tried again; but a shim must not grow or hang for its sake, so there are bounds.
 *
 * @module
 */
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { type Any, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Clock, systemClock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { Events } from "../../proto/events_service_pb.ts";
import { dial } from "../../rpc/transport/address.ts";
import { createTtrpcTransport, type TtrpcTransport } from "../../rpc/ttrpc/client.ts";
import { EventQueue, type Lane, type QueuedEvent } from "./queue.ts";

const TRY_TIMEOUT_MS = 5000;
const MAX_TRIES = 6;
/** The pause before the second try; it grows by as much each time. */
const PAUSE_MS = 1000;
/** How long a shim that ends waits for the last events to leave. */
const LAST_EVENTS_MS = 2000;

export interface EventsOptions {
  /** containerd's, sent with each event. */
  namespace: string;
  /** Gets the events that were not delivered, and each event where there is no address. */
  log: Logger;
  clock?: Clock;
}

/** Disposing it waits up to 2 seconds for the events that are still queued. */
export interface EventPublisher extends AsyncDisposable {
  /**
   * Queues an event.
   *
   * @param topic Such as `/tasks/exit`.
   * @param event With a bare type_url: `containerd.events.TaskExit`.
   * @param lane What else it shares its room in the queue with. Default: `change`.
   */
  publish(topic: string, event: Any, options?: { lane?: Lane }): void;
}

/**
 * @param address Of containerd's ttRPC socket, from `TTRPC_ADDRESS`; empty under CRI-O, which takes no events: then they
 * are only logged.
 */
export function connectEvents(address: string, options: EventsOptions): EventPublisher {
  return address === "" ? new LoggedEvents(options.log) : new ContainerdEvents(address, options);
}

class LoggedEvents implements EventPublisher {
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  publish(topic: string, event: Any): void {
    this.#log.info("Event", { topic, type: event.typeUrl });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

class ContainerdEvents implements EventPublisher {
  readonly #address: string;
  readonly #options: EventsOptions;
  readonly #clock: Clock;
  readonly #queue = new EventQueue();
  readonly #stopping = new AbortController();
  #transport: TtrpcTransport | undefined;
  #client: Client<typeof Events> | undefined;
  /** Ends when the queue is empty; it never rejects. */
  #sending: Promise<void> | undefined;

  constructor(address: string, options: EventsOptions) {
    this.#address = address;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  publish(topic: string, event: Any, { lane = "change" }: { lane?: Lane } = {}): void {
    if (!this.#queue.push({ topic, event, atMs: this.#clock.now(), lane })) {
      this.#options.log.error("Dropping an event: too many are queued", { topic, queued: this.#queue.length });
      return;
    }
    this.#sending ??= this.#sendAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.#stopping.abort(new Error("The shim ends")), LAST_EVENTS_MS);
    await this.#sending;
    clearTimeout(timer);
    await this.#disconnect();
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) await this.#send(next);
    this.#sending = undefined;
  }

  async #send(event: QueuedEvent): Promise<void> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#forward(event);
      } catch (error) {
        await this.#disconnect();
        const { topic } = event;
        if (tries === MAX_TRIES || this.#stopping.signal.aborted || !mayPass(error)) {
          this.#options.log.error("Dropping an event: containerd did not take it", { topic, tries, error });
          return;
        }
        this.#options.log.debug("Trying an event again", { topic, tries, error });
        await this.#clock.sleep(tries * PAUSE_MS, this.#stopping.signal).catch(() => {});
      }
    }
  }

  async #forward({ topic, event, atMs }: QueuedEvent): Promise<void> {
    const { namespace } = this.#options;
    const client = this.#client ??= await this.#connect();
    const envelope = { namespace, topic, event, timestamp: timestampFromMs(atMs) };
    await client.forward({ envelope }, {
      signal: this.#stopping.signal,
      timeoutMs: TRY_TIMEOUT_MS,
      headers: { "containerd-namespace-ttrpc": namespace },
    });
  }

  async #connect(): Promise<Client<typeof Events>> {
    const duplex = await dial(this.#address, { signal: this.#stopping.signal });
    this.#transport = createTtrpcTransport(duplex, { peer: "containerd" });
    return createClient(Events, this.#transport);
  }

  async #disconnect(): Promise<void> {
    this.#client = undefined;
    this.#transport?.[Symbol.dispose]();
    await this.#transport?.closed;
  }
}

/** containerd may come back; an event that it refuses stays refused. */
function mayPass(error: unknown): boolean {
  return !(error instanceof ConnectError) || error.code === Code.Unavailable || error.code === Code.DeadlineExceeded;
}
