/**
 * The loopback of a pod's network namespace on the host. Nobody listens there, as the pod's servers are in the guest; but
 * engines enter the namespace and dial it to forward a port of the pod, so its connections are caught for the guest.
 *
 * @module
 */
import { errorChain } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { enterNetns } from "../../linux/process/namespace.ts";
import { type Listeners, steerLoopback } from "../../linux/net/sk_lookup.ts";
import { listenOnLoopback } from "../../linux/net/inet_socket.ts";

/** Connections that wait to be accepted, per family. */
const BACKLOG = 64;

/** Disposing it leaves the loopback alone again. */
export interface Loopback extends Disposable {
  /** Sockets that get the connections to all ports. */
  readonly listeners: readonly Fd[];
}

/** @returns undefined, with the reason in the log, where the host cannot do it: then ports are not forwarded. */
export function catchLoopback(netns: Fd, { log }: { log: Logger }): Loopback | undefined {
  using undo = new DisposableStack();
  try {
    const listeners = listenIn(netns, undo);
    undo.use(steerLoopback(netns, listeners));
    const resources = undo.move();
    return { listeners: Object.values(listeners), [Symbol.dispose]: () => resources.dispose() };
  } catch (error) {
    log.info("Port-forward is not available to this pod", { reason: errorChain(error) });
    return undefined;
  }
}

/** Listens in the pod's namespace. Nothing may be awaited meanwhile: this thread is in the namespace. */
function listenIn(netns: Fd, owner: DisposableStack): Listeners {
  using _ = enterNetns(netns);
  const inet = owner.use(listenOnLoopback("inet", BACKLOG));
  try {
    return { inet, inet6: owner.use(listenOnLoopback("inet6", BACKLOG)) };
  } catch (error) {
    if (isErrno(error, "EADDRNOTAVAIL", "EAFNOSUPPORT")) return { inet };
    throw error;
  }
}
