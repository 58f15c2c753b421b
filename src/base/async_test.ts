import assert from "node:assert/strict";
import { abortable, Mutex, Places, retry } from "./async.ts";
import type { Clock } from "./clock.ts";
import { countReactions } from "./testing/reactions.ts";

/** A clock that never waits, and counts what was asked of it. */
function countingClock(): Clock & { slept: number[] } {
  const slept: number[] = [];
  return { slept, now: () => 0, sleep: (ms) => (slept.push(ms), Promise.resolve()) };
}

Deno.test("retry() repeats until the attempt succeeds", async () => {
  const clock = countingClock();
  let left = 3;
  const attempt = () => {
    if (left-- > 0) throw new Error("not yet");
    return "done";
  };
  assert.equal(await retry(attempt, { signal: new AbortController().signal, everyMs: 5, clock }), "done");
  assert.deepEqual(clock.slept, [5, 5, 5]);
});

Deno.test("retry() ends with the last error when the signal fires", async () => {
  const aborting = new AbortController();
  let tries = 0;
  const attempt = () => {
    if (++tries === 2) aborting.abort();
    throw new Error(`try ${tries}`);
  };
  await assert.rejects(retry(attempt, { signal: aborting.signal, everyMs: 0, clock: countingClock() }), /try 2/);
});

Deno.test("retry() does not repeat a final error", async () => {
  const options = { signal: new AbortController().signal, everyMs: 1, isFinal: () => true, clock: countingClock() };
  await assert.rejects(retry(() => Promise.reject(new Error("no")), options), /no/);
  assert.deepEqual(options.clock.slept, []);
});

Deno.test("Mutex.lock() lets one holder in at a time, in order of arrival", async () => {
  const mutex = new Mutex();
  const order: string[] = [];
  const hold = async (name: string) => {
    using _ = await mutex.lock();
    order.push(`${name} in`);
    await Promise.resolve();
    order.push(`${name} out`);
  };
  await Promise.all([hold("a"), hold("b")]);
  assert.deepEqual(order, ["a in", "a out", "b in", "b out"]);
});

Deno.test("Places.take() lets so many holders in at a time, in order of arrival", async () => {
  const places = new Places(2);
  const order: string[] = [];
  let most = 0;
  let held = 0;
  const hold = async (name: string) => {
    using _ = await places.take();
    most = Math.max(most, ++held);
    order.push(name);
    await new Promise((resolve) => setTimeout(resolve, 0));
    held--;
  };
  await Promise.all(["a", "b", "c", "d", "e"].map(hold));
  await hold("f");
  assert.deepEqual([order.join(""), most], ["abcdef", 2]);
});

Deno.test("atk3 1: abortable() leaves nothing at a pending promise that is waited for again and again", async () => {
  using reactions = countReactions();
  const { promise, resolve } = Promise.withResolvers<string>();
  for (let round = 0; round < 100; round++) {
    const aborting = new AbortController();
    const waiting = abortable(promise, aborting.signal);
    aborting.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
  }
  assert.ok(reactions.most() < 10, `${reactions.most()} reactions on one promise`);
  const { signal } = new AbortController();
  const waiting = [abortable(promise, signal), abortable(promise, signal)];
  resolve("done");
  assert.deepEqual(await Promise.all([...waiting, abortable(promise, signal)]), ["done", "done", "done"]);
});

Deno.test("abortable() rejects with the signal's reason and leaves no listener", async () => {
  const aborting = new AbortController();
  const waiting = abortable(new Promise(() => {}), aborting.signal);
  aborting.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  assert.equal(await abortable(Promise.resolve(1), new AbortController().signal), 1);
});

Deno.test("abortable() leaves no failure unheard where the signal has fired before", async () => {
  const { promise, reject } = Promise.withResolvers<never>();
  await assert.rejects(abortable(promise, AbortSignal.abort(new Error("over"))), /over/);
  reject(new Error("late"));
  await new Promise((resolve) => setTimeout(resolve));
});
