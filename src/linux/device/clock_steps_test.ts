import assert from "node:assert/strict";
import { ClockSteps } from "./clock_steps.ts";

Deno.test("ClockSteps.next() waits for a step, and no longer than its signal; tests/vm/clock_guest.ts sets a clock", async () => {
  using steps = new ClockSteps();
  await assert.rejects(steps.next({ signal: AbortSignal.timeout(20) }), { name: "TimeoutError" });
});
