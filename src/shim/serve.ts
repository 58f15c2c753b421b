/** The serving process: answers containerd until it is told to shut down. @module */
import { removeIfThere } from "../base/files.ts";
import type { Logger } from "../base/log.ts";
import { configurePolling } from "../linux/io/poll.ts";
import { listen } from "../rpc/transport/address.ts";
import type { Listener } from "../rpc/transport/duplex.ts";
import type { ShimArgs } from "./args.ts";
import { socketAddress } from "./bootstrap.ts";
import { openShimLog, type ShimLog } from "./log/logs.ts";
import { ReadyAnswer } from "./start/ready.ts";

/** Serves in the bundle's directory until Shutdown. @returns The exit status. */
export async function serve(args: ShimArgs): Promise<number> {
  configurePolling("thread");
  using answer = new ReadyAnswer();
  using logs = openShimLog({ ...args, bundle: Deno.cwd() });
  const { log } = logs;
  surviveAccidents(log);
  try {
    await run(args, { logs, answer });
    return 0;
  } catch (error) {
    answer.fail(error);
    log.critical("Cannot serve any longer", { error });
    return 1;
  }
}

async function run(args: ShimArgs, { logs, answer }: { logs: ShimLog; answer: ReadyAnswer }): Promise<void> {
  const address = args.socket || await socketAddress(args);
  const path = address.slice("unix://".length);
  await using undo = new AsyncDisposableStack();
  const listener = listenForOwner(address);
  undo.defer(() => removeIfThere(path));
  // The bundle is containerd's to remove; a process that works in it would keep it from being unmounted.
  Deno.chdir("/");
  // Whoever connects from now on waits in the socket's queue: containerd goes on while the rest is loaded.
  answer.ready();
  try {
    const { serveTasks } = await import("./serve_tasks.ts");
    await serveTasks(listener, { args, address, logs });
  } catch (cause) {
    // It has been told that somebody serves, so its calls are where the reason reaches it.
    const error = new Error("Cannot serve tasks", { cause });
    const { refuseTasks } = await import("./refuse_tasks.ts");
    await refuseTasks(listener, { error, log: logs.log });
    throw error;
  }
}

/** The socket is nobody else's from its first moment on, whatever umask we were started with. */
export function listenForOwner(address: string): Listener {
  const before = Deno.umask(0o177);
  try {
    return listen(address);
  } finally {
    Deno.umask(before);
  }
}

/** A container must not die of a signal that was meant for the service manager's child, or of one call's bug. */
export function surviveAccidents(log: Logger): void {
  Deno.addSignalListener("SIGTERM", () => log.info("Ignoring SIGTERM: containerd ends a shim by Shutdown"));
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.error("A promise failed that nobody waits for", { error: event.reason });
  });
}
