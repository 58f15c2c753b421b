/**
 * The connection to the agent in the guest. This folder is the host's side of the agent's API, and the only one of the
 * domain that knows its messages: calls in groups (`containers.ts` and so on), checks of what the agent answers
 * (`answers.ts`), and what is done with it for a whole sandbox.
 *
 * @module
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { abortable, retry } from "../../base/async.ts";
import { type Clock, systemClock, timeoutSignal } from "../../base/clock.ts";
import { KataError } from "../../base/error.ts";
import type { AgentConfig } from "../../config/schema.ts";
import { connectVsock } from "../../linux/net/vsock/vsock_stream.ts";
import { AgentService } from "../../proto/agent_pb.ts";
import { Connections } from "../../proto/connections_pb.ts";
import { Health } from "../../proto/health_pb.ts";
import { Resolver } from "../../proto/resolver_pb.ts";
import { dial } from "../../rpc/transport/address.ts";
import type { Duplex } from "../../rpc/transport/duplex.ts";
import { createTtrpcTransport, type TtrpcTransport } from "../../rpc/ttrpc/client.ts";
import { agentClients, type ExplainFailure } from "./answers.ts";
import { type AgentHost, endExplainer, explainSilence, reasonOfEnd } from "./explain.ts";
import { type GuestContainers, guestContainers } from "./containers.ts";
import { type GuestMachine, guestMachine } from "./machine.ts";
import { type GuestLinks, guestLinks } from "./network.ts";
import { type GuestPorts, guestPorts } from "./ports.ts";
import { type GuestResolver, guestResolver } from "./resolver.ts";
import { type GuestProcesses, guestProcesses, type GuestStreams, guestStreams } from "./processes.ts";

export interface ConnectOptions {
  sandboxId: string;
  config: Pick<AgentConfig, "create_container_timeout" | "dial_timeout_ms" | "reconnect_timeout_ms">;
  signal: AbortSignal;
  clock?: Clock;
}

/** Calls that wait for something to happen in the guest; every other call is answered by the agent itself. */
const UNBOUNDED: ReadonlySet<DescMethod> = new Set([
  AgentService.method.waitProcess,
  AgentService.method.readStdout,
  AgentService.method.readStderr,
  AgentService.method.writeStdin,
  AgentService.method.getOOMEvent,
  Connections.method.read,
  Connections.method.write,
  Resolver.method.next,
]);

/** Calls for which nobody waits who could be told, or after which the VM ends anyway. */
const BACKGROUND: ReadonlySet<DescMethod> = new Set([
  ...UNBOUNDED,
  AgentService.method.destroySandbox,
  Health.method.check,
]);

/** For a VMM to answer the first dial; twice as long for each that got no answer, up to the other. */
const FIRST_ANSWER_MS = 1_000;
const LAST_ANSWER_MS = 10_000;

type AgentTransport = Pick<TtrpcTransport, "unary" | "closed" | typeof Symbol.dispose>;

export interface AgentConnectionOptions {
  /** Finds out more about a call that failed. */
  explain?: ExplainFailure;
  /** Drops a process with its output once somebody has waited for it, as Kata's own agent does. Default: false. */
  forgetsEnded?: boolean;
}

/**
 * Calls that one agent takes, in groups: callers take those that they use. `answers.ts` checks what it says, and has a
 * KataError for each call that fails. Disposing it fails the pending calls.
 */
export class AgentConnection implements Disposable {
  readonly containers: GuestContainers;
  readonly processes: GuestProcesses;
  readonly streams: GuestStreams;
  readonly network: GuestLinks;
  readonly machine: GuestMachine;
  readonly ports: GuestPorts;
  readonly resolver: GuestResolver;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  readonly #transport: AgentTransport;

  constructor(transport: AgentTransport, { explain, forgetsEnded = false }: AgentConnectionOptions = {}) {
    this.#transport = transport;
    this.closed = transport.closed;
    const { api, health, connections, leftovers, resolver } = agentClients(transport, explain);
    this.containers = guestContainers(api);
    this.processes = guestProcesses(api, { forgetsEnded });
    this.streams = guestStreams(api);
    this.network = guestLinks(api, leftovers);
    this.machine = guestMachine(api, health);
    this.ports = guestPorts(connections);
    this.resolver = guestResolver(resolver);
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]();
  }
}

/**
 * Dials the agent until it answers.
 *
 * @throws {KataError} UNAVAILABLE if the VM ended, DEADLINE_EXCEEDED if the agent is silent: the message says whether
 * the monitor is alive, how long was waited, and what the console showed last.
 */
export async function connectAgent(vm: AgentHost, options: ConnectOptions): Promise<AgentConnection> {
  const transport = await dialAgent(vm, options);
  const explain = endExplainer({ vm, closed: transport.closed });
  return new AgentConnection(transport, {
    explain: (error, method) => BACKGROUND.has(method) ? error : explain(error),
    forgetsEnded: mayBeKatas(vm),
  });
}

/** Ours alone speaks over virtio-serial, or has the host prove itself. */
function mayBeKatas(vm: AgentHost): boolean {
  return vm.agentKey() === undefined && !vm.agentAddress().startsWith("serial:");
}

/** @throws As {@linkcode connectAgent}, which makes the groups of it. */
export async function dialAgent(vm: AgentHost, options: ConnectOptions): Promise<TtrpcTransport> {
  const { config, clock = systemClock } = options;
  const begin = clock.now();
  using settled = new AbortOnDispose();
  const deadline = timeoutSignal(config.reconnect_timeout_ms);
  const signal = AbortSignal.any([options.signal, deadline, settled.signal]);
  const ended = vm.wait().then((exit) => {
    const reason = reasonOfEnd(exit, vm);
    throw new KataError("UNAVAILABLE", `Cannot reach the agent: the VM ended while it booted: ${reason}`);
  });
  let attempts = 0;
  const attempt = attemptsAt(vm, { signal, clock });
  const dialling = retry(() => {
    attempts++;
    return attempt();
  }, { signal, everyMs: config.dial_timeout_ms, clock });
  // The loser of the race goes on until the signal stops it; its failure is nobody's business.
  dialling.catch(() => {});
  try {
    const duplex = await abortable(Promise.race([dialling, ended]), AbortSignal.any([options.signal, deadline]));
    const callMs = config.create_container_timeout * 1000;
    return createTtrpcTransport(duplex, {
      peer: `the agent of sandbox "${options.sandboxId}"`,
      timeoutMs: (method) => UNBOUNDED.has(method) ? undefined : callMs,
      // An emulated guest on a busy host takes its own clock's rate from a bad measurement: it may run far too fast.
      sendsDeadlines: false,
    });
  } catch (error) {
    // An attempt ends with its start: what it has opened is closed before anybody goes on.
    settled[Symbol.dispose]();
    const lastWord = await dialling.then((late) => void late.close(), (last) => last);
    if (!deadline.aborted || options.signal.aborted) throw error;
    const cause = new Error(`Dialled ${attempts} times, the last time`, { cause: lastWord ?? error });
    throw await explainSilence(vm, { what: "Cannot reach the agent", waitedMs: clock.now() - begin, cause });
  }
}

/** One dial after the other, each by a connection of its own: what got no answer may have hit a moment of which nothing comes. */
function attemptsAt(vm: AgentHost, { signal, clock }: { signal: AbortSignal; clock: Clock }): () => Promise<Duplex> {
  let answerMs = FIRST_ANSWER_MS;
  return async () => {
    const begin = clock.now();
    try {
      return await dial(vm.agentAddress(), { signal, key: vm.agentKey(), connectFrom: connectVsock, answerMs });
    } catch (error) {
      if (clock.now() - begin >= answerMs) answerMs = Math.min(2 * answerMs, LAST_ANSWER_MS);
      throw error;
    }
  };
}

/** A signal that fires at the end of a scope. */
class AbortOnDispose implements Disposable {
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;

  [Symbol.dispose](): void {
    this.#controller.abort();
  }
}
