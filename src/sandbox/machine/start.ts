/** Bringing a sandbox's VM up, until its agent answers. @module */
import type { AgentConfig } from "../../config/schema.ts";
import type { Hypervisor, VmInfo } from "../../hypervisor/hypervisor.ts";
import type { AgentConnection } from "../agent/client.ts";
import type { Phases } from "../phases.ts";

/** For an agent that runs already, as it came from a template, to answer on a busy host; after that the machine boots. */
const RESTORED_MS = 15_000;

export interface StartMachineOptions {
  sandboxId: string;
  config: AgentConfig;
  signal: AbortSignal;
  phases: Phases;
  /** Called when the VM runs, before the agent answers if it boots. */
  onStarted: (info: VmInfo) => void;
}

/** @throws {KataError} As `Hypervisor.start` and `connectAgent`; ending the VM is the caller's. */
export async function startMachine(vm: Hypervisor, options: StartMachineOptions): Promise<AgentConnection> {
  const { sandboxId, config, signal, phases, onStarted } = options;
  let loading: Promise<typeof import("../agent/client.ts")> | undefined;
  const loadClient = () => loading ??= import("../agent/client.ts");
  const connect = (config: AgentConfig) =>
    phases.measure("agent", async () => await (await loadClient()).connectAgent(vm, { sandboxId, config, signal }));
  let agent: AgentConnection | undefined;
  const confirm = async () => {
    agent = await connect({ ...config, reconnect_timeout_ms: Math.min(RESTORED_MS, config.reconnect_timeout_ms) });
  };
  const starting = phases.measure("vm", () => vm.start({ signal, confirm }));
  // The agent's messages take some milliseconds to describe themselves: there is time while the machine starts.
  void loadClient();
  await starting;
  onStarted(await vm.info());
  return agent ?? await connect(config);
}
