/**
 * A program for tests: a shim's process as `src/shim/serve.ts` makes it, whose VM is only an agent's socket. Needs root.
 *
 * `shim_with_agent.ts DIRECTORY AGENT_ADDRESS`: serves at `DIRECTORY/shim.sock`, publishes to `DIRECTORY/containerd.sock`,
 * writes its log to the fifo `DIRECTORY/log`, takes the configuration that KATA_CONF_FILE names, and has a v2 host.
 *
 * @module
 */
import { Code } from "@connectrpc/connect";
import { listen } from "../../src/rpc/transport/address.ts";
import { connectEvents } from "../../src/shim/events/publisher.ts";
import { serveTtrpc } from "../../src/rpc/ttrpc/server.ts";
import { TaskEvents } from "../../src/shim/events/task_events.ts";
import { openShimLog } from "../../src/shim/log/logs.ts";
import { manageSandbox } from "../../src/shim/management.ts";
import { surviveAccidents } from "../../src/shim/serve.ts";
import { shimServices } from "../../src/shim/services.ts";
import { TaskService } from "../../src/shim/task_service.ts";
import { FakeVm } from "./fake_agent.ts";

const [directory = "", agent = ""] = Deno.args;
using logs = openShimLog({ bundle: directory, id: "c1", debug: false, systemLogs: [] });
const { log } = logs;
surviveAccidents(log);
const shutdown = new AbortController();
await using publisher = connectEvents(`unix://${directory}/containerd.sock`, { namespace: "default", log });
const tasks = new TaskService({
  args: { id: "c1", namespace: "default" },
  address: `unix://${directory}/shim.sock`,
  events: new TaskEvents((...event) => publisher.publish(...event)),
  logs,
  cgroupVersion: "v2",
  onShutdown: () => shutdown.abort(),
  onSandbox: (sandbox, log) => manageSandbox(sandbox, { log }),
  sandbox: {
    roots: { run: `${directory}/run`, shared: `${directory}/shared` },
    makeHypervisor: () => new FakeVm(agent),
  },
});
const listener = listen(`unix://${directory}/shim.sock`);
await serveTtrpc(listener, shimServices(tasks), { signal: shutdown.signal, log, defaultCode: Code.Unknown });
