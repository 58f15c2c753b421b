/**
 * The `vhost-device-vsock` daemon: vsock for guests on hosts whose kernel has none. It serves one VM and outlives it, so
 * its owner ends it.
 *
 * @module
 */
import { retry } from "../../base/async.ts";
import { exists } from "../../base/files.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_NOFOLLOW, O_PATH } from "../../linux/io/fd.ts";
import { removePath } from "../../linux/fs/remove_tree.ts";
import { connectUnix } from "../../linux/net/socket.ts";
import { HYBRID_VSOCK_CID } from "../../agent_api/names.ts";
import { type ProcessOptions, VmProcess } from "../process/vm_process.ts";
import { chooseUser, type VmmUser } from "../process/vmm_user.ts";

/**
 * In a directory of the daemon's own, from which it names them: it cannot get to the run directory. Short, as those of
 * `vmFiles`.
 */
const SOCKET = "vhost.sock";
const HOST_SOCKET = "kata.hvsock";
const LISTEN_POLL_MS = 1;
/** To the guest, and from it. */
const RINGS = [0, 1];

export interface VhostVsockOptions extends Pick<ProcessOptions, "runDir" | "log" | "cgroupProcs"> {
  /** The program. */
  path: string;
  /** Whether to run it as a user of its own where that is possible. */
  ownUser: boolean;
  signal: AbortSignal;
}

/** A daemon that runs. */
export interface VhostVsock {
  daemon: VmProcess;
  /** The one connection that it takes, for QEMU. */
  connection: Fd;
  /**
   * The socket where the host asks for a port of the guest, open: its directory is the daemon's, which a guest may have
   * taken and which could put a link in the socket's place.
   */
  hostSocket: Fd;
  /** Whether the host may ask for a port: once is enough, and too early does harm. See {@linkcode hasRings}. */
  isReady(): boolean;
}

/** Where the daemon's sockets are, in the run directory. */
export const VHOST_VSOCK_DIRECTORY = "vsock";

/** Full paths of both. */
export function vhostVsockSockets(runDir: string): { socket: string; hostSocket: string } {
  const directory = `${runDir}/${VHOST_VSOCK_DIRECTORY}`;
  return { socket: `${directory}/${SOCKET}`, hostSocket: `${directory}/${HOST_SOCKET}` };
}

/** Starts the daemon and connects to it. The daemon's directory stays after its end. */
export async function startVhostVsock(options: VhostVsockOptions): Promise<VhostVsock> {
  const { path, ownUser, signal, ...rest } = options;
  await using undo = new AsyncDisposableStack();
  const directory = `${rest.runDir}/${VHOST_VSOCK_DIRECTORY}`;
  const user = ownUser ? daemonUser(options) : undefined;
  removePath(directory);
  Deno.mkdirSync(directory, { mode: 0o700 });
  if (user !== undefined) Deno.chownSync(directory, user.uid, user.gid);
  const args = ["--guest-cid", String(HYBRID_VSOCK_CID), "--socket", SOCKET, "--uds-path", HOST_SOCKET];
  const identity = { name: "vhost-device-vsock", cwd: directory, user, rights: "none" } as const;
  const daemon = undo.use(VmProcess.start({ ...rest, ...identity, path, args }));
  const sockets = vhostVsockSockets(rest.runDir);
  const until = AbortSignal.any([signal, daemon.died]);
  await appearance(sockets.socket, { in: directory, signal: until });
  // The socket's file appears before the daemon listens.
  const connection = await retry(() => connectUnix(sockets.socket), { signal: until, everyMs: LISTEN_POLL_MS });
  undo.use(connection);
  // No guest runs yet, and the daemon has made it before the other.
  const hostSocket = Fd.open(sockets.hostSocket, O_PATH | O_NOFOLLOW);
  undo.move();
  return { daemon, connection, hostSocket, isReady: () => hasRings(daemon.pid) };
}

/**
 * Whether the daemon waits for the guest's rings. A guest's driver has it map the guest's memory first, and a moment later
 * gives it the rings. A connection in between ends the thread that serves all connections: a request finds no rings,
 * which the daemon (0.3.0) takes for the end. The daemon lives on, and answers nobody any more. Before it has mapped
 * the memory it closes each connection at once.
 *
 * @see https://github.com/rust-vmm/vhost-device/tree/main/vhost-device-vsock `VhostUserVsockBackend::handle_event`
 */
function hasRings(pid: number): boolean {
  const descriptors = `/proc/${pid}/fdinfo`;
  try {
    return [...Deno.readDirSync(descriptors)].some(({ name }) =>
      waitsForRings(Deno.readTextFileSync(`${descriptors}/${name}`))
    );
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return false; // it ended, or closed a connection just now
    if (isErrno(error, "EACCES", "EPERM")) return true; // nobody knows
    throw error;
  }
}

/**
 * Whether an epoll set has the two rings that carry data. The daemon marks each with its number.
 *
 * @param fdinfo As proc_pid_fdinfo(5) shows a descriptor.
 */
export function waitsForRings(fdinfo: string): boolean {
  const marks = [...fdinfo.matchAll(/^tfd:.*\bdata:\s*([0-9a-f]+)\b/gm)].map(([, mark]) => parseInt(mark!, 16));
  return RINGS.every((ring) => marks.includes(ring));
}

function daemonUser({ path, log }: VhostVsockOptions): VmmUser | undefined {
  const user = chooseUser({ program: path });
  if (typeof user !== "string") return user;
  log.info("vhost-device-vsock runs as root, without capabilities", { reason: user });
  return undefined;
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
