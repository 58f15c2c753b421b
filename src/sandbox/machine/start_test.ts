import assert from "node:assert/strict";
import { defaultConfig } from "../../config/schema.ts";
import type { Hypervisor, StartOptions } from "../../hypervisor/hypervisor.ts";
import { serveAgent } from "../agent/testing/serve_agent.ts";
import { Phases } from "../phases.ts";
import "../agent/client.ts"; // loads libc, which would else be a leak of the first test
import { startMachine } from "./start.ts";

const INFO = { pid: 7, pids: [7], vcpus: 1, memoryMiB: 1 };

/** A VM whose start does as the test says; its agent listens on a socket that nobody has to make. */
function fakeVm(socket: string, start: (options: StartOptions) => Promise<void>): Hypervisor {
  const vm: Partial<Hypervisor> = {
    start,
    info: async () => INFO,
    wait: () => new Promise(() => {}),
    agentAddress: () => `unix://${socket}`,
    agentKey: () => undefined,
    consoleTail: () => [],
  };
  return vm as Hypervisor;
}

/** @returns What happened to the VM, in order. */
async function started(start: (options: StartOptions, events: string[], socket: string) => Promise<void>) {
  const directory = Deno.makeTempDirSync({ prefix: "kata-start-" });
  const socket = `${directory}/agent.sock`;
  const events: string[] = [];
  try {
    const agent = await startMachine(fakeVm(socket, (options) => start(options, events, socket)), {
      sandboxId: "s1",
      config: { ...defaultConfig().agent, reconnect_timeout_ms: 100 },
      signal: AbortSignal.timeout(10_000),
      phases: new Phases(),
      onStarted: ({ pid }) => events.push(`moved ${pid}`),
    });
    await agent.machine.check();
    events.push("agent answers");
    agent[Symbol.dispose]();
    await agent.closed;
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
  return events;
}

Deno.test("startMachine() dials the agent of a VM that has booted, once its processes are in their groups", async () => {
  await using stack = new AsyncDisposableStack();
  const events = await started(async (_, events, socket) => {
    stack.use(serveAgent(socket));
    events.push("boots");
  });
  assert.deepEqual(events, ["boots", "moved 7", "agent answers"]);
});

Deno.test("startMachine() keeps the connection by which the agent from a template was found well", async () => {
  await using stack = new AsyncDisposableStack();
  const events = await started(async ({ confirm }, events, socket) => {
    stack.use(serveAgent(socket));
    await confirm?.();
    events.push("restored");
  });
  assert.deepEqual(events, ["restored", "moved 7", "agent answers"]);
});

Deno.test("startMachine() refuses a VM from a template whose agent is silent, and takes the one that boots (B41)", async () => {
  await using stack = new AsyncDisposableStack();
  const events = await started(async ({ confirm }, events, socket) => {
    await assert.rejects(confirm!(), { code: "DEADLINE_EXCEEDED", message: /^Cannot reach the agent: waited 0\.\d s/ });
    events.push("boots instead");
    stack.use(serveAgent(socket));
  });
  assert.deepEqual(events, ["boots instead", "moved 7", "agent answers"]);
});
