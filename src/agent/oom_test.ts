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
