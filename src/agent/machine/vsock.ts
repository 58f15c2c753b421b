/** Keeping the containers of a machine from its vsock. @module */
import { isErrno } from "../../linux/ffi/errno.ts";
import { guardVsock, SOCKET_CREATE_HOOK } from "../../linux/security/vsock_guard.ts";
import type { Guest } from "../guest.ts";

/** Inode number of the first pid namespace (PROC_PID_INIT_INO). */
const FIRST_PID_NAMESPACE = 0xeffffffc;

/**
 * From now on only this process has vsock sockets. For a machine of ours: an agent that is a plain process, in a namespace
 * or on a socket of its own, leaves the machine as it is.
 */
export function guardMachineVsock(guest: Pick<Guest, "options" | "log" | "isInit">, stack: AsyncDisposableStack): void {
  const { options, log } = guest;
  if (options.containerVsock || !ownsMachine(guest)) return;
  try {
    stack.use(guardVsock({ pid: Deno.pid, hook: knownHook() }));
  } catch (error) {
    log.warning("Containers can use vsock", { error });
  }
}

/** Whether this machine is a guest of ours, which the agent may change. */
export function ownsMachine({ options, isInit }: Pick<Guest, "options" | "isInit">): boolean {
  return (isInit || options.serverAddress.startsWith("vsock:")) && isInFirstPidNamespace();
}

function isInFirstPidNamespace(): boolean {
  return Deno.statSync("/proc/self/ns/pid").ino === FIRST_PID_NAMESPACE;
}

/** Reads the BTF id of the hook, which the guest image holds for its own kernel. */
function knownHook(): number | undefined {
  const release = Deno.readTextFileSync("/proc/sys/kernel/osrelease").trim();
  try {
    return Number(Deno.readTextFileSync(`/usr/lib/modules/${release}/${SOCKET_CREATE_HOOK}`));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
