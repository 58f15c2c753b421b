/**
 * The `vhost-device-vsock` daemon: vsock for guests on hosts whose kernel has none. It serves one VM and outlives it, so
 * its owner ends it.
 *
 * @module
 */
import { HYBRID_VSOCK_CID } from "../rpc/agent_api.ts";
import { retry } from "../base/async.ts";
import type { Fd } from "../linux/fd.ts";
import { connectUnix } from "../linux/socket.ts";
import { MonitorProcess, type ProcessOptions } from "./process.ts";

const LISTEN_POLL_MS = 1;

export interface VhostVsockOptions extends Pick<ProcessOptions, "runDir" | "log" | "cgroupProcs"> {
  /** The program. */
  path: string;
  /** Where QEMU connects, in the run directory; the daemon makes it. */
  socket: string;
  /** Where the host asks for a port of the guest; the daemon makes it. */
  hostSocket: string;
  signal: AbortSignal;
}

/** The daemon, and the one connection that it takes, for QEMU. */
export interface VhostVsock {
  daemon: MonitorProcess;
  connection: Fd;
}

/** Starts the daemon and connects to it. */
export async function startVhostVsock(options: VhostVsockOptions): Promise<VhostVsock> {
  const { path, socket, hostSocket, signal, ...rest } = options;
  await using undo = new AsyncDisposableStack();
  const args = ["--guest-cid", String(HYBRID_VSOCK_CID), "--socket", socket, "--uds-path", hostSocket];
  const daemon = undo.use(MonitorProcess.start({ ...rest, name: "vhost-device-vsock", path, args, rights: "none" }));
  const until = AbortSignal.any([signal, daemon.died]);
  await appearance(socket, { in: rest.runDir, signal: until });
  // It appears before it listens.
  const connection = await retry(() => connectUnix(socket), { signal: until, everyMs: LISTEN_POLL_MS });
  undo.move();
  return { daemon, connection };
}

/** Waits until a file exists. @throws The signal's reason. */
async function appearance(path: string, options: { in: string; signal: AbortSignal }): Promise<void> {
  const { signal } = options;
  using watcher = Deno.watchFs(options.in, { recursive: false });
  const stop = () => watcher[Symbol.dispose]();
  signal.addEventListener("abort", stop, { once: true });
  try {
    if (exists(path)) return;
    for await (const _ of watcher) if (exists(path)) return;
  } finally {
    signal.removeEventListener("abort", stop);
  }
  throw signal.reason;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
