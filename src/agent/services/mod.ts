/** The agent's API, put together from its parts. Methods that no part has answer UNIMPLEMENTED. @module */
import type { Message } from "@bufbuild/protobuf";
import { KataError } from "../../base/error.ts";
import { AgentService } from "../../proto/agent_pb.ts";
import { Connections } from "../../proto/connections_pb.ts";
import { Health } from "../../proto/health_pb.ts";
import { defineService, type TtrpcService } from "../../rpc/ttrpc/server.ts";
import type { AgentPart, Guest } from "../guest.ts";
import { ALLOW_ALL, type Policy } from "../policy/policy.ts";
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

/** All services of the agent, for one listener. The policy guards all but Health, which reveals nothing. */
export function agentServices(guest: Guest): TtrpcService[] {
  const { policy, signal } = guest;
  return [
    defineService(AgentService, guarded(agentParts(guest), policy)),
    defineService(Health, healthService()),
    defineService(Connections, guarded(connectionsService(signal), policy)),
  ];
}

/** The parts as one. */
export function agentParts(guest: Guest): AgentPart {
  return Object.assign({}, ...PARTS.map((part) => part(guest)));
}

type Method = (request: Message, caller: never) => unknown;

/**
 * A part of an API behind a policy, which judges each request before anything else happens with it.
 *
 * @param part Methods by their name in TypeScript, of which each takes one message.
 * @returns Its methods, which throw PERMISSION_DENIED for what the policy denies; `part` itself if all is allowed.
 */
export function guarded<P extends object>(part: P, policy: Policy): P {
  if (policy === ALLOW_ALL) return part;
  const methods = Object.entries(part).map(([name, method]) => [name, judged(method as Method, { name, policy })]);
  return Object.fromEntries(methods) as P;
}

function judged(method: Method, { name, policy }: { name: string; policy: Policy }): Method {
  const spelled = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
  return async (request, caller) => {
    const verdict = await policy.allows(spelled, request);
    if (!verdict.isAllowed) throw denied(spelled, { request, why: verdict.why });
    return await method(request, caller);
  };
}

/** "CreateContainerRequest is blocked by policy" is what tools of the field look for. */
function denied(method: string, { request, why }: { request: Message; why: string }): KataError {
  const message = request.$typeName.slice(request.$typeName.lastIndexOf(".") + 1);
  const what = `Cannot call ${method}: ${message} is blocked by policy`;
  return new KataError("PERMISSION_DENIED", why === "" ? what : `${what}: ${why}`);
}
