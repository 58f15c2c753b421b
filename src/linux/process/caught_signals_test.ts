import assert from "node:assert/strict";
import { testAssembly } from "../child_program/testing/assembler.ts";
import { CaughtSignals, handlerCode } from "./caught_signals.ts";
import { openPidfd, sendSignal } from "./pidfd.ts";
import { SIGNALS } from "./signal.ts";

testAssembly("handlerCode", { sources: new URL("signal_handler/", import.meta.url), bytes: handlerCode });

Deno.test("CaughtSignals gives signals in their order, those of real time too, and no fault that was sent ends us", async () => {
  using caught = new CaughtSignals({ but: [SIGNALS.SIGINT] });
  using self = openPidfd(Deno.pid);
  for (const number of [SIGNALS.SIGTERM, SIGNALS.SIGSEGV, 37, 64]) {
    sendSignal(self, number);
    assert.equal(await caught.next(), number);
  }
});

Deno.test("CaughtSignals.next() ends with its signal, and other waits go on while one comes", async () => {
  using caught = new CaughtSignals();
  using self = openPidfd(Deno.pid);
  const ending = new AbortController();
  const waiting = caught.next({ signal: ending.signal });
  ending.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  const next = caught.next();
  setTimeout(() => sendSignal(self, SIGNALS.SIGUSR1), 10);
  assert.equal(await next, SIGNALS.SIGUSR1);
});
