import assert from "node:assert/strict";
import { MAX_TIMER_MS, systemClock, timeoutSignal } from "./clock.ts";

Deno.test.each<{ ms: number }>([
  { ms: MAX_TIMER_MS },
  { ms: MAX_TIMER_MS + 1 },
  { ms: 1e12 },
])("timeoutSignal($ms) and systemClock.sleep($ms) do not end at once", async ({ ms }) => {
  const end = new AbortController();
  const asleep = systemClock.sleep(ms, end.signal).then(() => "over", () => "aborted");
  const signal = timeoutSignal(ms);
  await systemClock.sleep(20);
  end.abort();
  assert.deepEqual([signal.aborted, await asleep], [false, "aborted"]);
});
