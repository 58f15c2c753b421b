/** The agent's API, put together from groups of methods, each in a file. Methods that no group has answer UNIMPLEMENTED. @module */
import type { Message } from "@bufbuild/protobuf";
import { KataError } from "../../base/error.ts";
import { AgentService } from "../../proto/agent_pb.ts";
import { Connections } from "../../proto/connections_pb.ts";
import { Health } from "../../proto/health_pb.ts";
import { Leftovers } from "../../proto/leftovers_pb.ts";
import { Resolver } from "../../proto/resolver_pb.ts";
import { defineService, type TtrpcService } from "../../rpc/ttrpc/server.ts";
import type { AgentMethods, Guest } from "../guest.ts";
import { ALLOW_ALL, type Policy } from "../policy/policy.ts";
import { absentMethods } from "./absent.ts";
import { connectionsService } from "./connections.ts";
import { containerMethods } from "./container.ts";
import { copyFileMethods } from "./copy_file.ts";
import { diagnosticMethods } from "./diagnostic.ts";
import { healthService } from "./health.ts";
import { leftoversService } from "./leftovers.ts";
import { machineMethods } from "./machine.ts";
import { metricsMethods } from "./metrics.ts";
import { networkMethods } from "./network.ts";
import { packetFilterMethods } from "./packet_filter.ts";
import { processMethods } from "./process.ts";
import { resolverService } from "./resolver.ts";
import { sandboxMethods } from "./sandbox.ts";
import { storageMethods } from "./storage.ts";
import { streamMethods } from "./stream.ts";

const GROUPS: readonly ((guest: Guest) => AgentMethods)[] = [
  sandboxMethods,
  containerMethods,
  processMethods,
  streamMethods,
  networkMethods,
  machineMethods,
  storageMethods,
  copyFileMethods,
  metricsMethods,
  diagnosticMethods,
  () => packetFilterMethods(),
  absentMethods,
];

/** All services of the agent, for one listener. The policy guards all but Health, which reveals nothing. */
export function agentServices(guest: Guest): TtrpcService[] {
  const { policy, signal } = guest;
  return [
    defineService(AgentService, guarded(agentMethods(guest), policy)),
    defineService(Health, healthService()),
    defineService(Connections, guarded(connectionsService(signal), policy)),
    defineService(Leftovers, guarded(leftoversService(), policy)),
    defineService(Resolver, guarded(resolverService(signal), policy)),
  ];
}

/** All groups as one. */
export function agentMethods(guest: Guest): AgentMethods {
  return Object.assign({}, ...GROUPS.map((methods) => methods(guest)));
}

type Method = (request: Message, caller: never) => unknown;

/**
 * Methods of an API behind a policy, which judges each request before anything else happens with it.
 *
 * @param methods By their name in TypeScript; each takes one message.
 * @returns Methods which throw PERMISSION_DENIED for what the policy denies; `methods` itself if all is allowed.
 */
export function guarded<M extends object>(methods: M, policy: Policy): M {
  if (policy === ALLOW_ALL) return methods;
  const judging = Object.entries(methods).map(([name, method]) => [name, judged(method as Method, { name, policy })]);
  return Object.fromEntries(judging) as M;
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
