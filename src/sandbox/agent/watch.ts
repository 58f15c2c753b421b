/** Watching the agent while its sandbox lives. @module */
import { abortable } from "../../base/async.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { errorChain, errorCode } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import type { AgentConnection } from "./client.ts";
import { VM_END_MS } from "./explain.ts";
import type { GuestMachine } from "./machine.ts";

/** Pause between two questions. */
const EVERY_MS = 5_000;
/** How long an answer may take: a busy or emulated guest is slow, not dead. */
const ANSWER_MS = 25_000;
/** The second chance: it may have been this process that stood still, with the answer waiting for it. */
const AGAIN_MS = 5_000;

/** The longest that a VM or an agent can hang before it is taken for dead. */
export const HANG_MS = EVERY_MS + ANSWER_MS + AGAIN_MS;

export interface WatchOptions {
  signal: AbortSignal;
  clock?: Clock;
}

/** The part of a connection that watching needs. */
export interface WatchedAgent {
  closed: AgentConnection["closed"];
  machine: Pick<GuestMachine, "check">;
}

/**
 * Waits for the end of a VM, or of its agent. The end of a VM shows in its agent's connection first, but only the VM can
 * say why.
 *
 * @returns Why.
 */
export async function awaitLoss(
  vm: Pick<Hypervisor, "wait">,
  { closed, machine }: WatchedAgent,
  options: WatchOptions,
): Promise<string> {
  const vmEnded = vm.wait().then(({ reason }) => reason);
  const explained = closed.then(() => abortable(vmEnded, AbortSignal.timeout(VM_END_MS))).then(() => {}, () => {});
  return await Promise.race([vmEnded, watchAgent({ closed: explained, machine }, options)]);
}

/**
 * Asks the agent for its health now and then.
 *
 * @returns Why it is taken for dead: its connection ended, or it was silent for up to {@linkcode HANG_MS}. Never, once
 * the signal has fired.
 */
export async function watchAgent(agent: WatchedAgent, options: WatchOptions): Promise<string> {
  const { promise: never } = Promise.withResolvers<string>();
  const reason = await Promise.race([awaitClose(agent), askHealth(agent, options)]);
  return options.signal.aborted ? await never : reason;
}

async function awaitClose({ closed }: WatchedAgent): Promise<string> {
  await closed;
  return "the agent closed its connection";
}

async function askHealth(agent: WatchedAgent, { signal, clock = systemClock }: WatchOptions): Promise<string> {
  const ask = (timeoutMs: number) => agent.machine.check({ signal, timeoutMs });
  try {
    for (;;) {
      await clock.sleep(EVERY_MS, signal);
      await ask(ANSWER_MS).catch(() => ask(AGAIN_MS));
    }
  } catch (error) {
    // A question on its way when the connection ends fails before that is told.
    if (errorCode(error) === "UNAVAILABLE") return await awaitClose(agent);
    return `the agent does not answer: ${errorChain(error)}`;
  }
}

/** A container's next event is told of after so long: what happened meanwhile is one shortage. */
const EVENT_MS = 1_000;
/** The pause after an event that says nothing new: a guest that tells of nothing else cannot keep the host busy. */
const VAIN_MS = 100;

export interface OutOfMemoryOptions extends WatchOptions {
  log: Logger;
  /** Whether the sandbox has such a container. */
  isOurs: (containerId: string) => boolean;
  onEvent: (containerId: string) => void;
}

/**
 * Calls `onEvent` with the container's id when the guest's kernel killed something for want of memory: at most once a
 * second for each container of the sandbox, and for no other.
 */
export async function watchOutOfMemory(
  agent: { machine: Pick<GuestMachine, "outOfMemory"> },
  { signal, log, clock = systemClock, isOurs, onEvent }: OutOfMemoryOptions,
): Promise<void> {
  const toldAt = new Map<string, number>();
  let knowsStranger = false;
  try {
    while (!signal.aborted) {
      const containerId = await agent.machine.outOfMemory({ signal });
      const now = clock.now();
      if (!isOurs(containerId)) {
        if (!knowsStranger) log.warning("Ignoring memory shortages of containers that are not here", { containerId });
        knowsStranger = true;
      } else if (now - (toldAt.get(containerId) ?? -Infinity) >= EVENT_MS) {
        for (const id of toldAt.keys()) if (!isOurs(id)) toldAt.delete(id);
        toldAt.set(containerId, now);
        onEvent(containerId);
        continue;
      }
      await clock.sleep(VAIN_MS, signal);
    }
  } catch (error) {
    if (signal.aborted || errorCode(error) === "UNAVAILABLE") return;
    log.warning("Cannot watch for memory shortage any longer", { error });
  }
}
