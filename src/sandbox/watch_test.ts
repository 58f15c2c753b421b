import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "../base/clock.ts";
import { HANG_MS, watchAgent, type WatchedAgent } from "./watch.ts";

/** A question's answer, or how it fails: late, after the whole of its limit. */
type Answer = "serving" | "late" | "cut off";

/** An agent that answers as listed, then never again in time; the clock stands still but for its waits. */
function watch(answers: readonly Answer[] = [], { closed = new Promise<void>(() => {}) } = {}) {
  const left = [...answers];
  let now = 0;
  const clock: Clock = { now: () => now, sleep: async (ms) => void (now += ms) };
  const agent: WatchedAgent = {
    closed,
    health: {
      // deno-lint-ignore require-await
      async check(_request, { timeoutMs = 0 } = {}) {
        const answer = left.shift();
        if (answer === "serving") return { status: 1 } as never;
        if (answer === "cut off") throw new ConnectError("the connection is closed", Code.Unavailable);
        now += timeoutMs;
        throw new ConnectError(`Cannot call Check: no answer within ${timeoutMs} ms`, Code.DeadlineExceeded);
      },
    },
  };
  return { now: () => now, reason: watchAgent(agent, { signal: new AbortController().signal, clock }) };
}

Deno.test("watchAgent() takes an agent that hangs for dead within the stated bound", async () => {
  const { reason, now } = watch();
  assert.match(await reason, /^the agent does not answer: .*no answer within \d+ ms/);
  assert.equal(now(), HANG_MS);
});

Deno.test("watchAgent() takes a late answer, as of a host that stood still, for life", async () => {
  const once = watch(["serving", "late", "serving", "late", "serving"]);
  await once.reason;
  assert.ok(once.now() > 2 * HANG_MS, `alive for ${once.now()} ms`);
});

Deno.test("watchAgent() does not take the end of the connection for silence", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { reason } = watch(["serving", "cut off", "cut off"], { closed: promise });
  setTimeout(resolve, 0);
  assert.equal(await reason, "the agent closed its connection");
});

Deno.test("watchAgent() says at once that the connection ended", async () => {
  const { reason } = watch(Array(100).fill("serving"), { closed: Promise.resolve() });
  assert.equal(await reason, "the agent closed its connection");
});
