/** Forwarded ports: the host's relay with a guest that says anything, and the guest's end with such a host. @module */
import { ConnectError } from "@connectrpc/connect";
import { Connections as GuestConnections } from "../../../src/agent/network/connections.ts";
import { createLogger } from "../../../src/base/log.ts";
import { listenOnLoopback, localPort } from "../../../src/linux/net/inet_socket.ts";
import { Connections } from "../../../src/proto/connections_pb.ts";
import { createTtrpcTransport } from "../../../src/rpc/ttrpc/client.ts";
import { defineService, serveConnection } from "../../../src/rpc/ttrpc/server.ts";
import { agentClients } from "../../../src/sandbox/agent/answers.ts";
import { guestPorts } from "../../../src/sandbox/agent/ports.ts";
import { PortForward } from "../../../src/sandbox/agent/port_forward.ts";
import { findFault } from "../core/faults.ts";
import type { Random } from "../core/random.ts";
import { memoryPair } from "../core/streams.ts";
import { defineTarget, hold } from "../core/target.ts";

const log = createLogger({ sink: () => {} });
/** For a peer that says nothing any more. */
const SILENCE_MS = 60;
const HOSTNAME = "127.0.0.1";

const DEEDS = ["read", "read", "write", "write", "finish"] as const;
type Deed = typeof DEEDS[number];

/** Answer of the guest to one call: bytes are what it sends, or how long it takes. */
interface Answer {
  kind: "good" | "good" | "refusal" | "silence" | "too much" | "gone";
  bytes: number;
}

const KINDS = ["good", "good", "good", "good", "refusal", "silence", "too much", "gone"] as const;

function anyAnswer(random: Random): Answer {
  return { kind: random.once(2) ? "good" : random.pick(KINDS), bytes: random.once(3) ? 0 : random.below(70_000) };
}

const CLIENT = ["send", "send", "send", "end", "leave", "wait", "listen"] as const;

export const portForward = defineTarget({
  name: "port-forward",
  rounds: 40,
  make: (random) => ({
    answers: random.times(random.between(1, 12), () => anyAnswer(random)),
    clients: random.times(
      random.between(1, 3),
      () => random.times(random.between(1, 5), () => ({ step: random.pick(CLIENT), bytes: random.below(200_000) })),
    ),
  }),
  async run({ answers, clients }) {
    using guest = new HostileGuest(answers);
    using listener = listenOnLoopback("inet", 4);
    const forward = new PortForward({ listeners: [listener], [Symbol.dispose]() {} }, {
      agent: { ports: guestPorts(guest.clients().connections) },
      log,
    });
    const port = localPort(listener);
    const ends = await Promise.allSettled(clients.map((steps) => visit(port, steps, guest)));
    guest.loseAnswers();
    await forward[Symbol.asyncDispose]();
    const broken = ends.find((end) => end.status === "rejected" && findFault(end.reason) !== undefined);
    if (broken?.status === "rejected") throw broken.reason;
    hold(guest.opened - guest.closed <= guest.lost, "each connection is closed in the guest in the end");
  },
});

interface Step {
  step: typeof CLIENT[number];
  bytes: number;
}

/** Byte that the guest sends again and again, so that foreign bytes show. */
const FROM_GUEST = 71;
const FROM_CLIENT = 67;

async function visit(port: number, steps: readonly Step[], guest: HostileGuest): Promise<void> {
  using connection = await Deno.connect({ hostname: HOSTNAME, port });
  const buffer = new Uint8Array(64 << 10);
  for (const { step, bytes } of steps) {
    if (step === "send") await within(connection.write(new Uint8Array(bytes).fill(FROM_CLIENT)));
    else if (step === "end") await connection.closeWrite();
    else if (step === "wait") await pause();
    else if (step === "leave") return;
    else {
      const count = await within(connection.read(buffer)) ?? 0;
      hold(buffer.subarray(0, count).every((byte) => byte === FROM_GUEST), "a client gets what the guest sent");
      guest.received += count;
      hold(guest.received <= guest.sent, "a client gets no more than the guest sent");
    }
  }
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
}

/** The result, or nothing if it takes too long: a guest may keep silent for ever. */
async function within<T>(result: Promise<T>): Promise<T | undefined> {
  return await Promise.race([result, pause().then(() => undefined)]);
}

const SILENT: Answer = { kind: "silence", bytes: 0 };

/** An agent whose connections do as a script says, and then nothing any more. */
class HostileGuest implements Disposable {
  readonly #answers: readonly Answer[];
  readonly #end = new AbortController();
  readonly #transport;
  opened = 0;
  #openedAt: number[] = [];
  closed = 0;
  /** Connections whose close could not come through, as the guest was gone or silent. */
  lost = 0;
  sent = 0;
  received = 0;
  #at = 0;
  #isEnding = false;

  constructor(answers: readonly Answer[]) {
    this.#answers = answers;
    const [host, agent] = memoryPair();
    const services = [defineService(Connections, {
      open: async () => {
        await this.#next();
        this.#openedAt.push(performance.now());
        return { id: ++this.opened };
      },
      read: async ({ length }) => {
        const { kind, bytes } = await this.#next();
        const data = new Uint8Array(kind === "too much" ? length + bytes : Math.min(length, bytes)).fill(FROM_GUEST);
        this.sent += data.length;
        return { data };
      },
      write: async ({ data }) => {
        hold(data.every((byte) => byte === FROM_CLIENT), "the guest gets what a client sent");
        await this.#next();
        return {};
      },
      finish: async () => {
        await this.#next();
        return {};
      },
      close: () => {
        this.closed++;
        return {};
      },
    })];
    void serveConnection(agent, services, { signal: this.#end.signal, log, drainMs: 0, lingerMs: 0 });
    this.#transport = createTtrpcTransport(host, { peer: "the agent" });
  }

  /** The host goes: what has been opened in this moment it may not have learnt. */
  loseAnswers(): void {
    const now = performance.now();
    this.lost += this.#openedAt.filter((at) => now - at < SILENCE_MS).length;
    this.#isEnding = true;
  }

  clients() {
    return agentClients(this.#transport);
  }

  async #next(): Promise<Answer> {
    const answer = (this.#isEnding ? undefined : this.#answers[this.#at++]) ?? SILENT;
    if (answer.kind === "refusal") throw new ConnectError("no");
    if (answer.kind === "gone") {
      this.lost = Infinity;
      this.#transport[Symbol.dispose]();
    }
    if (answer.kind === "silence") await new Promise((resolve) => this.#end.signal.addEventListener("abort", resolve));
    return answer;
  }

  [Symbol.dispose](): void {
    this.#end.abort();
    this.#transport[Symbol.dispose]();
  }
}

export const guestConnections = defineTarget({
  name: "guest-connections",
  rounds: 100,
  make: (random) => ({
    server: random.pick(["echo", "echo", "silent", "leaves", "talks"] as const),
    // 0 stands for the server's own port.
    port: random.once(3) ? Math.abs(random.integer()) % 2 ** 32 : 0,
    calls: random.times(random.between(1, 10), () => ({
      deed: random.once(8) ? "open" : random.once(8) ? "close" : random.pick(DEEDS),
      id: random.once(6) ? Math.abs(random.integer()) : random.between(1, 2),
      bytes: random.once(6) ? Math.abs(random.integer()) % 2 ** 32 : random.below(100_000),
    } as { deed: Deed | "open" | "close"; id: number; bytes: number })),
  }),
  async run({ server, port, calls }) {
    using listener = Deno.listen({ hostname: HOSTNAME, port: 0 });
    const serving = serve(listener, server);
    const own = listener.addr.port;
    const errors: unknown[] = [];
    {
      using connections = new GuestConnections();
      const deeds = {
        open: () => connections.open(own),
        read: async ({ id, bytes }) => {
          const data = await connections.read(id, bytes);
          hold(data.length <= bytes && data.length <= 1 << 20, "no more is read than is asked for");
        },
        write: ({ id, bytes }) => connections.write(id, new Uint8Array(Math.min(bytes, 1 << 20))),
        finish: ({ id }) => connections.finish(id),
        close: async ({ id }) => connections.close(id),
      } satisfies Record<string, (call: { id: number; bytes: number }) => Promise<unknown>>;
      // As the host does it, some are under way together.
      const running = [connections.open(port === 0 ? own : port), ...calls.map((call) => deeds[call.deed](call))];
      for (const call of running) call.catch((error) => errors.push(error));
      await within(Promise.allSettled(running));
    }
    listener.close();
    await serving;
    const fault = errors.find((error) => findFault(error) !== undefined);
    if (fault !== undefined) throw fault;
  },
});

async function serve(listener: Deno.TcpListener, kind: "echo" | "silent" | "leaves" | "talks"): Promise<void> {
  const held: Deno.TcpConn[] = [];
  try {
    for await (const connection of listener) {
      held.push(connection);
      if (kind === "leaves") connection.close();
      else if (kind === "echo") void connection.readable.pipeTo(connection.writable).catch(() => {});
      else if (kind === "talks") void connection.write(new Uint8Array(100_000)).catch(() => {});
    }
  } catch {
    // The listener is closed.
  }
  for (const connection of held) {
    try {
      connection.close();
    } catch {
      // It is closed already.
    }
  }
}
