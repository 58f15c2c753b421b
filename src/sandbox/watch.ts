/** Watching the agent while its sandbox lives. @module */
import { Code, ConnectError } from "@connectrpc/connect";
import { type Clock, systemClock } from "../base/clock.ts";
import { errorChain } from "../base/error.ts";
import type { Logger } from "../base/log.ts";
import type { AgentConnection } from "./agent_client.ts";

/** Pause between two questions, and how long an answer may take: a busy or emulated guest is slow, not dead. */
const EVERY_MS = 10_000;
const ANSWER_MS = 30_000;
/** Failures in a row that mean death; one may come of a host that slept. */
const FAILURES = 2;

export interface WatchOptions {
  signal: AbortSignal;
  clock?: Clock;
}

/**
 * Asks the agent for its health now and then.
 *
 * @returns Why it is taken for dead: its connection ended, or it was silent for about a minute. Never, once the signal
 * has fired.
 */
export async function watchAgent(agent: AgentConnection, options: WatchOptions): Promise<string> {
  const { promise: never } = Promise.withResolvers<string>();
  const closed = agent.closed.then(() => "the agent closed its connection");
  const reason = await Promise.race([closed, askHealth(agent, options)]);
  return options.signal.aborted ? await never : reason;
}

async function askHealth(agent: AgentConnection, { signal, clock = systemClock }: WatchOptions): Promise<string> {
  for (let failures = 0;;) {
    try {
      await clock.sleep(EVERY_MS, signal);
      await agent.health.check({}, { signal, timeoutMs: ANSWER_MS });
      failures = 0;
    } catch (error) {
      if (signal.aborted || ++failures >= FAILURES) return `the agent does not answer: ${errorChain(error)}`;
    }
  }
}

/** Calls `onEvent` with the container's id each time the guest's kernel killed something for want of memory. */
export async function watchOutOfMemory(
  agent: AgentConnection,
  { signal, log, onEvent }: WatchOptions & { log: Logger; onEvent: (containerId: string) => void },
): Promise<void> {
  try {
    while (!signal.aborted) {
      const { containerId } = await agent.api.getOOMEvent({}, { signal });
      onEvent(containerId);
    }
  } catch (error) {
    if (signal.aborted || ConnectError.from(error).code === Code.Unavailable) return;
    log.warning("Cannot watch for memory shortage any longer", { error });
  }
}
