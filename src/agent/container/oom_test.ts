import assert from "node:assert/strict";
import { OomQueue } from "./oom.ts";

const never = new AbortController().signal;

Deno.test("OomQueue.next() gives each event to one caller, in order", async () => {
  const queue = new OomQueue();
  const waiting = [queue.next(never), queue.next(never)];
  queue.push("a");
  queue.push("b");
  queue.push("c");
  assert.deepEqual((await Promise.all(waiting)).sort(), ["a", "b"]);
  assert.equal(await queue.next(never), "c");
});

Deno.test("OomQueue.next() ends with the signal and loses nothing", async () => {
  const queue = new OomQueue();
  const abort = new AbortController();
  const waiting = queue.next(abort.signal);
  abort.abort(new Error("gone"));
  await assert.rejects(waiting, { message: "gone" });
  queue.push("a");
  assert.equal(await queue.next(never), "a");
});

Deno.test("F17: OomQueue holds a container once, however often it runs out of memory, and 1,024 of them", async () => {
  const queue = new OomQueue();
  for (let event = 0; event < 100_000; event++) queue.push(event % 2 === 0 ? "a" : "b");
  assert.deepEqual([await queue.next(never), await queue.next(never)], ["a", "b"]);
  for (let event = 0; event < 2000; event++) queue.push(`c${event}`);
  for (let event = 0; event < 1024; event++) assert.equal(await queue.next(never), `c${event}`);
  await assert.rejects(queue.next(AbortSignal.abort(new Error("empty"))), { message: "empty" });
});
