import assert from "node:assert/strict";
import { effectiveInitSignal } from "./process_status.ts";

const NONE = { SigBlk: "0000000000000000", SigIgn: "0000000000000000", SigCgt: "0000000000000000" };
const TERM = "0000000000004000";

function status(masks: Partial<typeof NONE>): string {
  return Object.entries({ ...NONE, ...masks }).map(([name, mask]) => `${name}:\t${mask}\n`).join("");
}

Deno.test.each([
  { name: "does nothing about it", masks: {}, signal: 15, sent: 9 },
  { name: "handles it", masks: { SigCgt: TERM }, signal: 15, sent: 15 },
  { name: "ignores it", masks: { SigIgn: TERM }, signal: 15, sent: 15 },
  { name: "blocks and waits for it", masks: { SigBlk: "fffffffe7ffbfeff" }, signal: 15, sent: 15 },
  { name: "handles another signal only", masks: { SigCgt: "0000000000000002" }, signal: 15, sent: 9 },
  { name: "gets another signal", masks: {}, signal: 2, sent: 2 },
])("effectiveInitSignal($signal) is $sent for an init that $name", ({ masks, signal, sent }) => {
  assert.equal(effectiveInitSignal(signal, status(masks)), sent);
});
