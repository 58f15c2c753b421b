import assert from "node:assert/strict";
import { createLogger } from "../../base/log.ts";
import { followClock } from "./guest_clock.ts";

Deno.test("pods B15: followClock() sets the guest's clock after each step of the host's, also after one that failed", async () => {
  const end = new AbortController();
  const lines: string[] = [];
  const times: number[] = [];
  let steps = 0;
  const done = Promise.withResolvers<void>();
  const before = Date.now();
  const following = followClock({
    signal: end.signal,
    log: createLogger({ sink: (line) => void lines.push(line) }),
    steps: {
      next: async ({ signal } = {}) => {
        if (++steps <= 2) return;
        done.resolve();
        await new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
      },
      [Symbol.dispose]: () => void lines.push("closed"),
    },
    agent: {
      machine: {
        setClock: (time) => {
          times.push(time);
          return times.length === 1 ? Promise.reject(new Error("the guest is busy")) : Promise.resolve();
        },
      },
    },
  });
  await done.promise;
  end.abort();
  await following;
  assert.equal(times.length, 2);
  assert.ok(times.every((time) => time >= before && time <= Date.now()));
  assert.match(lines.join(), /Cannot set the guest's clock.*the guest is busy/);
  assert.equal(lines.at(-1), "closed");
});
