import assert from "node:assert/strict";
import { timerMs } from "./deadline.ts";

Deno.test.each([
  { timeoutMs: -5, ms: 0 },
  { timeoutMs: 0.5, ms: 0.5 },
  { timeoutMs: 9_999.5, ms: 9_999.5 },
  { timeoutMs: 10_000, ms: 10_000 },
  { timeoutMs: 119_987.123456, ms: 120_000 },
  { timeoutMs: 119_012.7, ms: 120_000 },
])("timerMs($timeoutMs) is $ms: far deadlines share few delays, near ones are kept", ({ timeoutMs, ms }) => {
  assert.equal(timerMs(timeoutMs), ms);
});
