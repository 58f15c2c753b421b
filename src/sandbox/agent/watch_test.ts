import assert from "node:assert/strict";
import type { Clock } from "../../base/clock.ts";
import { KataError } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import { HANG_MS, watchAgent, type WatchedAgent, watchOutOfMemory } from "./watch.ts";

/** A question's answer, or how it fails: late, after the whole of its limit. */
type Answer = "serving" | "late" | "cut off";

/** An agent that answers as listed, then never again in time; the clock stands still but for its waits. */
function watch(answers: readonly Answer[] = [], { closed = new Promise<void>(() => {}) } = {}) {
  const left = [...answers];
  let now = 0;
  const clock: Clock = { now: () => now, sleep: async (ms) => void (now += ms) };
  const agent: WatchedAgent = {
    closed,
    machine: {
      // deno-lint-ignore require-await
      async check({ timeoutMs = 0 } = {}) {
        const answer = left.shift();
        if (answer === "serving") return;
        if (answer === "cut off") throw new KataError("UNAVAILABLE", "the connection is closed");
        now += timeoutMs;
        throw new KataError("DEADLINE_EXCEEDED", `Cannot call Check: no answer within ${timeoutMs} ms`);
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

/** Runs the watch on an agent that says these ids, each so long after the one before: its notices and its log. */
async function shortages(events: readonly { id: string; afterMs: number }[]) {
  let now = 0;
  const left = [...events];
  const told: string[] = [];
  const logged: string[] = [];
  const abort = new AbortController();
  const slept: number[] = [];
  const agent = {
    machine: {
      async outOfMemory() {
        const next = left.shift();
        if (next === undefined) {
          abort.abort();
          throw new KataError("UNAVAILABLE", "gone");
        }
        now += next.afterMs;
        return next.id;
      },
    },
  };
  await watchOutOfMemory(agent, {
    signal: abort.signal,
    clock: { now: () => now, sleep: async (ms) => void (now += ms, slept.push(ms)) },
    log: createLogger({ sink: (line) => logged.push(line) }),
    isOurs: (id) => id.startsWith("c"),
    onEvent: (id) => told.push(`${id} at ${now}`),
  });
  return { told, logged, slept };
}

Deno.test("F6: watchOutOfMemory() tells of each container of the sandbox at most once a second", async () => {
  const flood = Array.from({ length: 50 }, (_, index) => ({ id: index % 2 === 0 ? "c1" : "c2", afterMs: 0 }));
  const { told, slept } = await shortages(flood);
  assert.deepEqual(told.slice(0, 2), ["c1 at 0", "c2 at 0"]);
  assert.ok(told.length <= 12, `${told.length} events of two containers in 5 s`);
  assert.equal(slept.length + told.length, 50, "after each that is not told there is a pause");
  assert.deepEqual((await shortages([{ id: "c1", afterMs: 0 }, { id: "c1", afterMs: 1000 }])).told.length, 2);
});

Deno.test("F6: watchOutOfMemory() does not tell of other containers, and logs the first one only", async () => {
  const events = Array.from({ length: 100 }, (_, index) => ({ id: `other${index}`, afterMs: 0 }));
  const { told, logged } = await shortages([...events, { id: "c1", afterMs: 0 }]);
  assert.deepEqual(told.map((text) => text.split(" ")[0]), ["c1"]);
  assert.equal(logged.length, 1);
  assert.match(logged[0]!, /"containerId":"other0"/);
});
