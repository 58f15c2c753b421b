/** A guest whose agent lies: each answer becomes a value that the host can work with, or one error. @module */
import type { DescService } from "@bufbuild/protobuf";
import { statsFromWire } from "../../../src/agent_api/stats_codec.ts";
import { AgentService } from "../../../src/proto/agent_pb.ts";
import { Connections } from "../../../src/proto/connections_pb.ts";
import { Health } from "../../../src/proto/health_pb.ts";
import { verifyId } from "../../../src/base/id.ts";
import { createTtrpcTransport } from "../../../src/rpc/ttrpc/client.ts";
import { FRAME_TYPE } from "../../../src/rpc/ttrpc/frame.ts";
import { type AgentClients, agentClients } from "../../../src/sandbox/agent/answers.ts";
import { toMetrics } from "../../../src/shim/metrics/metrics.ts";
import { anyResponse, frame, spoil } from "../core/frames.ts";
import { memoryPair } from "../core/streams.ts";
import { defineTarget, hold } from "../core/target.ts";

const SERVICES = { api: AgentService, health: Health, connections: Connections } as const satisfies Record<
  string,
  DescService
>;
type Client = keyof typeof SERVICES;

const ASKED_BYTES = 64;

export const agentAnswers = defineTarget({
  name: "agent-answers",
  rounds: 700,
  make(random) {
    const client = random.pick(["api", "api", "api", "health", "connections"] as const satisfies readonly Client[]);
    const method = random.pick(SERVICES[client].methods);
    const most = random.once(20) ? 1500 : random.pick([2, 4, 9]);
    const answer = anyResponse(random, method, { most, depth: most > 100 ? 3 : 5 });
    const good = frame(answer, { id: 1, type: random.once(12) ? random.below(5) : FRAME_TYPE.response });
    return { client, method: method.localName, bytes: random.once(15) ? spoil(random, good) : good };
  },
  async run({ client, method, bytes }) {
    const [agent, end] = memoryPair();
    using transport = createTtrpcTransport(end, { peer: "the agent" });
    const clients = agentClients(transport);
    const calling = Reflect.get(clients[client], method)(requestOf(method)) as Promise<unknown>;
    calling.catch(() => {});
    await agent.write(bytes);
    agent.close();
    const value = await calling;
    (CHECKS[method] ?? (() => {}))(value as never);
  },
});

function requestOf(method: string): object {
  if (method === "writeStdin" || method === "write") return { data: new Uint8Array(ASKED_BYTES) };
  return method === "read" ? { length: ASKED_BYTES } : { len: ASKED_BYTES };
}

type Answer<C extends Client, M extends keyof AgentClients[C]> = AgentClients[C][M] extends
  (...args: never[]) => Promise<infer Value> ? Value : never;

function fits({ data }: { data: Uint8Array }): void {
  hold(data.length <= ASKED_BYTES, "a piece is no longer than what was asked for");
}

/** Properties of answers that the code behind the door rests on. */
const CHECKS: Readonly<Record<string, (value: never) => void>> = {
  waitProcess: ({ status }: Answer<"api", "waitProcess">) =>
    hold(Number.isInteger(status) && status >= 0 && status <= 255, "a status is 0 to 255"),
  getOOMEvent: ({ containerId }: Answer<"api", "getOOMEvent">) => verifyId(containerId),
  readStdout: fits,
  readStderr: fits,
  read: fits,
  writeStdin: ({ len }: Answer<"api", "writeStdin">) => hold(len <= ASKED_BYTES, "no more is taken than was sent"),
  statsContainer: ({ cgroupStats }: Answer<"api", "statsContainer">) => {
    const stats = { cgroup: cgroupStats && statsFromWire(cgroupStats), network: new Map() };
    for (const version of ["v1", "v2"] as const) toMetrics(stats, version);
  },
};
