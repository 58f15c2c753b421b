/** Starts a created container: lets its first process go on to its program. @module */
import { KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_NONBLOCK, O_WRONLY } from "../../linux/io/fd.ts";
import { execHook } from "../exec/exec.ts";
import { type HookStarter, runHooks } from "../hooks/hooks.ts";
import { endMembers } from "./members.ts";
import type { ContainerParts } from "./create_options.ts";
import type { OciState } from "./state.ts";

/** @throws {Error} One failed: the container is stopped, as the specification wants it. */
export async function runStartHooks(parts: ContainerParts, state: () => OciState): Promise<void> {
  parts.home.log?.debug(`starting container ${parts.stored.id}`);
  const start: HookStarter = (hook, stdio) => execHook(parts, hook, stdio);
  await orStop(parts, () => runHooks("startContainer", parts.stored.spec.hooks, { state: state(), start }));
}

/**
 * The specification once wanted a warning only; since 1.3 it says what runc has always done.
 *
 * @throws {Error} One failed: the container is stopped.
 */
export async function runPoststartHooks(parts: ContainerParts, state: OciState): Promise<void> {
  await orStop(parts, () => runHooks("poststart", parts.stored.spec.hooks, { state }));
}

async function orStop(parts: ContainerParts, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    await endMembers(parts);
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
