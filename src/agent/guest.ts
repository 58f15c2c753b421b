/** State of the guest on which every call of the agent's API works. @module */
import type { ServiceImpl } from "@connectrpc/connect";
import type { Logger } from "../base/log.ts";
import type { AgentService } from "../proto/agent_pb.ts";
import type { AgentOptions } from "../agent_api/options.ts";
import type { DeviceWaiter } from "./devices/waiter.ts";
import type { ModuleRequests } from "./machine/module_requests.ts";
import type { Policy } from "./policy/policy.ts";
import type { Sandbox } from "./sandbox.ts";

/** The agent as its services see it. */
export interface Guest {
  readonly options: AgentOptions;
  readonly log: Logger;
  readonly sandbox: Sandbox;
  /** Waits for hardware that may be still to come. */
  readonly devices: DeviceWaiter;
  /** Loads modules of the kernel for containers, and lets those ask for them that may. */
  readonly modules: Pick<ModuleRequests, "serve">;
  /** Judges each request of the host. */
  readonly policy: Policy;
  /** The agent is PID 1, so the machine is its own. */
  readonly isInit: boolean;
  /** Fires when the agent ends, so that calls which wait give up. */
  readonly signal: AbortSignal;
  /** Ends the agent, once the pending calls are answered. */
  shutDown(): void;
}

/** A group of methods of the agent's API. Methods in no group answer UNIMPLEMENTED. */
export type AgentMethods = Partial<ServiceImpl<typeof AgentService>>;
