/** The agent's API, put together from its parts. Methods that no part has answer UNIMPLEMENTED. @module */
import { AgentService } from "../../proto/agent_pb.ts";
import { Connections } from "../../proto/connections_pb.ts";
import { Health } from "../../proto/health_pb.ts";
import { defineService, type TtrpcService } from "../../rpc/ttrpc/server.ts";
import type { AgentPart, Guest } from "../guest.ts";
import { connectionsService } from "./connections.ts";
import { containerPart } from "./container.ts";
import { copyFilePart } from "./copy_file.ts";
import { diagnosticPart } from "./diagnostic.ts";
import { healthService } from "./health.ts";
import { machinePart } from "./machine.ts";
import { metricsPart } from "./metrics.ts";
import { networkPart } from "./network.ts";
import { processPart } from "./process.ts";
import { sandboxPart } from "./sandbox.ts";
import { storagePart } from "./storage.ts";
import { streamPart } from "./stream.ts";

const PARTS: readonly ((guest: Guest) => AgentPart)[] = [
  sandboxPart,
  containerPart,
  processPart,
  streamPart,
  networkPart,
  machinePart,
  storagePart,
  copyFilePart,
  metricsPart,
  diagnosticPart,
];

/** All services of the agent, for one listener. */
export function agentServices(guest: Guest): TtrpcService[] {
  const agent: AgentPart = Object.assign({}, ...PARTS.map((part) => part(guest)));
  return [
    defineService(AgentService, agent),
    defineService(Health, healthService()),
    defineService(Connections, connectionsService(guest.signal)),
  ];
}
