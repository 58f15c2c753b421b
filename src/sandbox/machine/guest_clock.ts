/** Keeps the guest's clock with the host's when that is set. @module */
import { systemClock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { ClockSteps } from "../../linux/device/clock_steps.ts";
import type { AgentConnection } from "../agent/client.ts";

/** A clock may be set several times, one right after the other. */
const SETTLE_MS = 100;

export interface FollowClockOptions {
  agent: { machine: Pick<AgentConnection["machine"], "setClock"> };
  log: Logger;
  /** Ends with the sandbox. */
  signal: AbortSignal;
  /** Hears of the steps; default: those of this host. */
  steps?: Pick<ClockSteps, "next"> & Disposable;
}

/**
 * Sets the guest's clock after each step of the host's, until the sandbox ends: somebody has set it, or the host was
 * suspended. Slow corrections are followed by the guest's clock itself, which counts by the host's.
 */
export async function followClock({ agent, log, signal, steps }: FollowClockOptions): Promise<void> {
  try {
    using heard = steps ?? new ClockSteps();
    for (;;) {
      await heard.next({ signal });
      await systemClock.sleep(SETTLE_MS, signal);
      log.info("Setting the guest's clock, as the host's was set");
      await agent.machine.setClock(Date.now()).catch((error) => {
        if (!signal.aborted) log.warning("Cannot set the guest's clock", { error });
      });
    }
  } catch (error) {
    if (!signal.aborted) log.warning("Cannot follow the host's clock", { error });
  }
}
