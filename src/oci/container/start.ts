/** Starts a created container: lets its first process go on to its program. @module */
import { KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_NONBLOCK, O_WRONLY } from "../../linux/io/fd.ts";
import { execHook } from "../exec/exec.ts";
import { type HookStarter, runHooks } from "../hooks/hooks.ts";
import type { ContainerParts } from "./create_options.ts";
import type { OciState } from "./state.ts";

/** @throws {Error} One failed: the container is stopped, as the specification wants it. */
export async function runStartHooks(parts: ContainerParts, state: () => OciState): Promise<void> {
  const start: HookStarter = (hook, stdio) => execHook(parts, hook, stdio);
  try {
    await runHooks("startContainer", parts.stored.spec.hooks, { state: state(), start });
  } catch (error) {
    await parts.cgroup.kill();
    throw error;
  }
}

/**
 * Lets the first process go, which waits at the other end.
 *
 * @param path Of the FIFO.
 * @param id The container's.
 * @throws {KataError} FAILED_PRECONDITION: it has ended.
 */
export function openExecFifo(path: string, id: string): void {
  try {
    using fifo = Fd.open(path, O_WRONLY | O_NONBLOCK);
    fifo.write(new Uint8Array(1));
  } catch (cause) {
    if (!isErrno(cause, "ENXIO")) throw new Error(`Cannot start container "${id}"`, { cause });
    throw new KataError("FAILED_PRECONDITION", `Cannot start container "${id}": its first process has ended`);
  }
}
