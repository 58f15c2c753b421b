/** Service of a shim that listens: the task API, and containerd's events. Most of the program, hence loaded late. @module */
import { Code } from "@connectrpc/connect";
import { detectCgroups } from "../linux/cgroup/cgroup.ts";
import type { Listener } from "../rpc/transport/duplex.ts";
import { serveTtrpc } from "../rpc/ttrpc/server.ts";
import type { ShimArgs } from "./args.ts";
import { connectEvents } from "./events/publisher.ts";
import { TaskEvents } from "./events/task_events.ts";
import type { ShimLog } from "./log/logs.ts";
import { shimServices } from "./services.ts";
import { TaskService } from "./task_service.ts";

export interface ServeTasksOptions {
  args: ShimArgs;
  /** Of the listener. */
  address: string;
  logs: ShimLog;
}

/** Serves until Shutdown. Takes over the listener. */
export async function serveTasks(listener: Listener, { args, address, logs }: ServeTasksOptions): Promise<void> {
  const { log } = logs;
  const { namespace } = args;
  await using publisher = connectEvents(Deno.env.get("TTRPC_ADDRESS") ?? "", { namespace, log });
  const shutdown = new AbortController();
  const tasks = new TaskService({
    args,
    address,
    logs,
    events: new TaskEvents((...event) => publisher.publish(...event)),
    cgroupVersion: detectCgroups().mode === "v2" ? "v2" : "v1",
    onShutdown: () => shutdown.abort(),
    // Loaded while the machine boots, when this process has nothing else to do.
    onSandbox: async (sandbox, log) => (await import("./management.ts")).manageSandbox(sandbox, { log }),
  });
  log.info("Shim serves", { address, pid: Deno.pid });
  await serveTtrpc(listener, shimServices(tasks), { signal: shutdown.signal, log, defaultCode: Code.Unknown });
  log.info("Shim ends");
}
