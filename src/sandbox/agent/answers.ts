/**
 * The door for answers of the guest's agent. A guest's root can take over its agent, so an answer may hold anything
 * that its message can: here it becomes a value that the host can work with, or one error. Nothing else on the host
 * makes a client of the agent's services, so no code behind this handles a raw answer, or an error of the wire: a call
 * throws KataErrors only.
 *
 * Each method has its row, whether the host calls it or not yet: one without a row does not compile.
 *
 * @module
 */
import {
  create,
  type DescMethod,
  type DescMethodUnary,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { KataError } from "../../base/error.ts";
import { verifyId } from "../../base/id.ts";
import {
  AgentService,
  GetDiagnosticDataResponseSchema,
  GetIPTablesResponseSchema,
  GuestDetailsResponseSchema,
  InterfacesSchema,
  MetricsSchema,
  RoutesSchema,
  SetIPTablesResponseSchema,
  StatsContainerResponseSchema,
} from "../../proto/agent_pb.ts";
import { Connections } from "../../proto/connections_pb.ts";
import { VolumeStatsResponseSchema } from "../../proto/csi_pb.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
  VersionCheckResponseSchema,
} from "../../proto/health_pb.ts";
import { Leftovers } from "../../proto/leftovers_pb.ts";
import { Resolver } from "../../proto/resolver_pb.ts";
import type { TtrpcTransport } from "../../rpc/ttrpc/client.ts";
import { callError } from "../../rpc/ttrpc/errors.ts";
import { bounded } from "./bounds.ts";
import { LOST_STATUS } from "../container/status.ts";

/** Turns an answer into the host's value, with the request at hand. Throws a RangeError that names the fault. */
type Row<S extends DescService, K extends keyof S["method"]> = (
  answer: MessageShape<S["method"][K]["output"]>,
  request: MessageInitShape<S["method"][K]["input"]>,
) => unknown;

type Rows<S extends DescService> = { readonly [K in keyof S["method"]]: Row<S, K> };

const LARGEST_STATUS = 255;
/** Prometheus' text of a guest with many devices; the rules of iptables; a log. */
const TEXT_BYTES = 1 << 20;

const checkStats = bounded(StatsContainerResponseSchema);

export const AGENT_ANSWERS = {
  createContainer: nothing,
  startContainer: nothing,
  removeContainer: nothing,
  execProcess: nothing,
  signalProcess: nothing,
  waitProcess: ({ status }) => ({ status: status >= 0 && status <= LARGEST_STATUS ? status : LOST_STATUS }),
  updateContainer: nothing,
  updateEphemeralMounts: nothing,
  // Interfaces are counted on the host: a container that makes many of its own must not hide what else it uses.
  statsContainer: ({ cgroupStats }) =>
    checkStats(create(StatsContainerResponseSchema, { ...(cgroupStats && { cgroupStats }) })),
  pauseContainer: nothing,
  resumeContainer: nothing,
  removeStaleVirtiofsShareMounts: nothing,
  getDiagnosticData: bounded(GetDiagnosticDataResponseSchema, { textBytes: TEXT_BYTES }),
  writeStdin: ({ len }, { data }) => ({ len: atMost(len, data?.length ?? 0, "bytes taken of") }),
  readStdout: ({ data }, { len }) => ({ data: piece(data, len) }),
  readStderr: ({ data }, { len }) => ({ data: piece(data, len) }),
  closeStdin: nothing,
  ttyWinResize: nothing,
  // The answer repeats the request, which the host knows.
  updateInterface: nothing,
  updateRoutes: nothing,
  listInterfaces: bounded(InterfacesSchema),
  listRoutes: bounded(RoutesSchema),
  addARPNeighbors: nothing,
  getIPTables: bounded(GetIPTablesResponseSchema, { textBytes: TEXT_BYTES }),
  setIPTables: bounded(SetIPTablesResponseSchema, { textBytes: TEXT_BYTES }),
  getMetrics: bounded(MetricsSchema, { textBytes: TEXT_BYTES }),
  memAgentMemcgSet: nothing,
  memAgentCompactSet: nothing,
  createSandbox: nothing,
  destroySandbox: nothing,
  onlineCPUMem: nothing,
  reseedRandomDev: nothing,
  getGuestDetails: bounded(GuestDetailsResponseSchema),
  memHotplugByProbe: nothing,
  setGuestDateTime: nothing,
  copyFile: nothing,
  getOOMEvent: ({ containerId }) => ({ containerId: verifyId(containerId) }),
  addSwap: nothing,
  addSwapPath: nothing,
  getVolumeStats: bounded(VolumeStatsResponseSchema),
  resizeVolume: nothing,
  setPolicy: nothing,
} as const satisfies Rows<typeof AgentService>;

export const HEALTH_ANSWERS = {
  check: ({ status }) => ({ status: status in ServingStatus ? status : ServingStatus.UNKNOWN }),
  version: bounded(VersionCheckResponseSchema),
} as const satisfies Rows<typeof Health>;

export const CONNECTIONS_ANSWERS = {
  // Any number that fits is the agent's own affair: it only comes back to it.
  open: ({ id }) => ({ id }),
  read: ({ data }, { length }) => ({ data: piece(data, length) }),
  write: nothing,
  finish: nothing,
  close: nothing,
} as const satisfies Rows<typeof Connections>;

export const LEFTOVERS_ANSWERS = { removeNetwork: nothing } as const satisfies Rows<typeof Leftovers>;

/** Largest message of DNS: its length has 16 bits where it comes by TCP. */
const QUERY_BYTES = 65_535;

export const RESOLVER_ANSWERS = {
  listen: nothing,
  next: ({ id, message, tcp }) => ({ id, message: piece(message, QUERY_BYTES), tcp }),
  answer: nothing,
} as const satisfies Rows<typeof Resolver>;

/** Per call. */
export interface AgentCallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** The methods of a service, with what its rows make of the answers. */
export type Checked<S extends DescService, R extends Rows<S>> = {
  readonly [K in keyof S["method"]]: (
    request: MessageInitShape<S["method"][K]["input"]>,
    options?: AgentCallOptions,
  ) => Promise<ReturnType<R[K]>>;
};

export type AgentApi = Checked<typeof AgentService, typeof AGENT_ANSWERS>;
export type HealthApi = Checked<typeof Health, typeof HEALTH_ANSWERS>;
export type ConnectionsApi = Checked<typeof Connections, typeof CONNECTIONS_ANSWERS>;
export type LeftoversApi = Checked<typeof Leftovers, typeof LEFTOVERS_ANSWERS>;
export type ResolverApi = Checked<typeof Resolver, typeof RESOLVER_ANSWERS>;

type UnaryTransport = Pick<TtrpcTransport, "unary">;

/** Finds out more about the failure of a call before it is thrown. */
export type ExplainFailure = (error: KataError, method: DescMethod) => KataError | Promise<KataError>;

/** The services of an agent, whose answers have come through the door. */
export interface AgentClients {
  api: AgentApi;
  health: HealthApi;
  connections: ConnectionsApi;
  leftovers: LeftoversApi;
  resolver: ResolverApi;
}

/**
 * Methods of these throw a KataError only: INTERNAL for an answer that cannot be, else the code of the agent's own error,
 * whose text is within 4 KiB, or of what became of the connection (`rpc/ttrpc/errors.ts`).
 */
export function agentClients(transport: UnaryTransport, explain: ExplainFailure = (error) => error): AgentClients {
  const way = { transport, explain };
  return {
    api: checkedClient(AgentService, AGENT_ANSWERS, way),
    health: checkedClient(Health, HEALTH_ANSWERS, way),
    connections: checkedClient(Connections, CONNECTIONS_ANSWERS, way),
    leftovers: checkedClient(Leftovers, LEFTOVERS_ANSWERS, way),
    resolver: checkedClient(Resolver, RESOLVER_ANSWERS, way),
  };
}

interface Way {
  transport: UnaryTransport;
  explain: ExplainFailure;
}

function checkedClient<S extends DescService, R extends Rows<S>>(
  service: S,
  rows: R,
  { transport, explain }: Way,
): Checked<S, R> {
  const methods = service.methods.map((method) => {
    const row = rows[method.localName as keyof R] as (answer: unknown, request: unknown) => unknown;
    const call = async (request: Record<string, unknown>, { signal, timeoutMs }: AgentCallOptions = {}) => {
      let message: unknown;
      try {
        ({ message } = await transport.unary(method as DescMethodUnary, signal, timeoutMs, undefined, request));
      } catch (error) {
        throw await explain(callError(error, method.name), method);
      }
      try {
        return row(message, request);
      } catch (cause) {
        throw new KataError("INTERNAL", `Cannot take the agent's answer to ${method.name}`, { cause });
      }
    };
    return [method.localName, call];
  });
  return Object.fromEntries(methods);
}

/** For answers that say no more than that the call has succeeded: what they hold is never looked at. */
function nothing(): void {}

/** The lengths of both are asked for by the host, so a longer piece is none that it has room for. */
function piece(data: Uint8Array, asked: number | undefined): Uint8Array {
  atMost(data.length, asked ?? 0, "bytes, asked for were");
  return data;
}

function atMost(value: number, most: number, what: string): number {
  if (value <= most) return value;
  throw new RangeError(`${value} ${what} ${most}`);
}
