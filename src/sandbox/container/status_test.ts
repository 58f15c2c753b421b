import assert from "node:assert/strict";
import { type Status, transition } from "./status.ts";

const ALL: readonly Status[] = ["created", "running", "paused", "stopped"];
const ALLOWED = [
  "created>running",
  "created>stopped",
  "running>paused",
  "running>stopped",
  "paused>running",
  "paused>stopped",
];

Deno.test.each(ALL.flatMap((from) => ALL.map((to) => ({ from, to, allowed: ALLOWED.includes(`${from}>${to}`) }))))(
  "transition($from, $to) is allowed: $allowed",
  ({ from, to, allowed }) => {
    if (allowed) return assert.equal(transition("it", from, to), to);
    assert.throws(() => transition('process "a"', from, to), {
      code: "FAILED_PRECONDITION",
      message: `Cannot bring process "a" from ${from} to ${to}`,
    });
  },
);
