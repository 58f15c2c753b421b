import assert from "node:assert/strict";
import type { VmExit } from "../../hypervisor/hypervisor.ts";
import { type AgentHost, connectAgent } from "./client.ts";

const CONFIG = { create_container_timeout: 1, dial_timeout_ms: 5, reconnect_timeout_ms: 100 };

function vmWith({ exit, console = [] }: { exit?: VmExit; console?: string[] }): AgentHost {
  return {
    name: "qemu",
    agentAddress: () => "unix:///no/such/agent",
    agentKey: () => undefined,
    consoleTail: () => console,
    info: async () => ({ pid: 7, pids: [7], vcpuThreads: [], vcpus: 1, memoryMiB: 1 }),
    wait: () => exit === undefined ? new Promise(() => {}) : Promise.resolve(exit),
  };
}

Deno.test("connectAgent() says of a silent agent that the VM lives, its last words and how long was waited (B46)", async () => {
  const options = { sandboxId: "s1", config: CONFIG, signal: new AbortController().signal };
  await assert.rejects(connectAgent(vmWith({ console: ["Kernel panic", "end"] }), options), {
    code: "DEADLINE_EXCEEDED",
    message:
      /^Cannot reach the agent: waited 0\.\d s, qemu is alive \(pid 7\), last console lines: Kernel panic \| end$/,
  });
});

Deno.test("connectAgent() does not wait for an agent whose VM has ended", async () => {
  const config = { ...CONFIG, reconnect_timeout_ms: 60_000 };
  const vm = vmWith({ exit: { expected: false, reason: "qemu was killed by SIGKILL" } });
  await assert.rejects(connectAgent(vm, { sandboxId: "s1", config, signal: new AbortController().signal }), {
    code: "UNAVAILABLE",
    message: /ended while it booted: qemu was killed by SIGKILL/,
  });
});

Deno.test("connectAgent() ends with the caller's reason", async () => {
  const abort = new AbortController();
  const config = { ...CONFIG, reconnect_timeout_ms: 60_000 };
  const connecting = connectAgent(vmWith({}), { sandboxId: "s1", config, signal: abort.signal });
  abort.abort(new Error("stopped"));
  await assert.rejects(connecting, { message: "stopped" });
});
