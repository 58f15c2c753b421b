import assert from "node:assert/strict";
import type { VmExit } from "../../hypervisor/hypervisor.ts";
import { connectAgent } from "./client.ts";
import type { AgentHost } from "./explain.ts";

const CONFIG = { create_container_timeout: 1, dial_timeout_ms: 5, reconnect_timeout_ms: 100 };

interface Circumstances {
  exit?: VmExit;
  console?: string[];
  address?: string;
  diagnosis?: string;
}

function vmWith({ exit, console = [], address = "unix:///no/such/agent", diagnosis }: Circumstances): AgentHost {
  return {
    name: "qemu",
    ...(diagnosis !== undefined && { diagnose: () => Promise.resolve(diagnosis) }),
    agentAddress: () => address,
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

Deno.test("kvm M7: connectAgent() says of a silent agent whose console is empty what the monitor knows of its machine", async () => {
  const options = { sandboxId: "s1", config: CONFIG, signal: new AbortController().signal };
  const vm = vmWith({ diagnosis: "the machine is running, its processor stands still at 0xfff0" });
  await assert.rejects(connectAgent(vm, options), {
    message:
      /qemu is alive \(pid 7\), the machine is running, its processor stands still at 0xfff0, the console is empty$/,
  });
});

/** An agent that hangs up on its first call, with the VM around it. */
async function hangUp(vm: (address: string) => AgentHost): Promise<string> {
  const path = `${Deno.makeTempDirSync({ prefix: "kata-agent-" })}/agent.sock`;
  using listener = Deno.listen({ transport: "unix", path });
  const serving = listener.accept().then(async (connection) => {
    await connection.read(new Uint8Array(1));
    connection.close();
  });
  const config = { ...CONFIG, create_container_timeout: 20, reconnect_timeout_ms: 5_000 };
  const signal = new AbortController().signal;
  using agent = await connectAgent(vm(`unix://${path}`), { sandboxId: "s1", config, signal });
  const failed = await agent.machine.seed(new Uint8Array(1)).then(() => "", (error: Error) => error.message);
  await serving;
  Deno.removeSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  return failed;
}

Deno.test("kvm M4: a call that fails with its VM says why the VM ended, also if the guest chose to", async () => {
  const words = "qemu (pid 7) exited with status 0; last on its console: Kernel panic - not syncing";
  const late = (exit: VmExit) => new Promise<VmExit>((resolve) => setTimeout(() => resolve(exit), 50));
  const died = await hangUp((address) => ({
    ...vmWith({ address }),
    wait: () => late({ expected: false, reason: words }),
  }));
  assert.match(died, /^Cannot call ReseedRandomDev of the agent of sandbox "s1"/);
  assert.ok(died.endsWith(`; the VM ended: ${words}`), died);
  const off = await hangUp((address) => ({
    ...vmWith({ address, console: ["init: no space"] }),
    wait: () => late({ expected: true, reason: "the guest powered off" }),
  }));
  assert.match(off, /the VM ended: the guest powered off, last console lines: init: no space$/);
});

Deno.test("kvm M4: a call that fails with the agent alone says that the VM lives", async () => {
  assert.match(await hangUp((address) => vmWith({ address })), /; qemu is alive, the console is empty$/);
});

Deno.test("W17: connectAgent() dials anew when a VMM takes a connection and never answers it", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "kata-dial-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const listener = Deno.listen({ transport: "unix", path: `${directory}/vmm` });
  const taken: Deno.Conn[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      stack.use(connection);
      taken.push(connection);
      // The first one is lost somewhere behind.
      if (taken.length > 1) await connection.write(new TextEncoder().encode("OK 1\n"));
    }
  })();
  const vm = { ...vmWith({}), agentAddress: () => `hvsock://${directory}/vmm:1024` };
  const config = { ...CONFIG, reconnect_timeout_ms: 9_000 }; // less than one answer may take at most
  const agent = await connectAgent(vm, { sandboxId: "s1", config, signal: new AbortController().signal });
  assert.equal(taken.length, 2);
  agent[Symbol.dispose]();
  await agent.closed;
  listener.close();
  await serving.catch(() => {});
});
