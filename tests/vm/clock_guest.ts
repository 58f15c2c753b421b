/** Steps of the clock, in a machine whose clock may be set. */
import assert from "node:assert/strict";
import { ClockSteps } from "../../src/linux/device/clock_steps.ts";
import { setClock } from "../../src/linux/device/machine.ts";

Deno.test("pods B15: ClockSteps.next() hears that somebody has set the clock, each time", async () => {
  using steps = new ClockSteps();
  for (const change of [10_000, -5_000]) {
    const heard = steps.next({ signal: AbortSignal.timeout(30_000) });
    const time = Date.now() + change;
    setClock({ seconds: Math.floor(time / 1000), nanoseconds: Math.floor(time % 1000) * 1_000_000 });
    await heard;
  }
  await assert.rejects(steps.next({ signal: AbortSignal.timeout(50) }), { name: "TimeoutError" });
});
