import assert from "node:assert/strict";
import { ByteBudget, MAX_QUEUED_MESSAGES, MessageQueue } from "./queue.ts";

const MIB = 1 << 20;

Deno.test("F17: MessageQueue.push() refuses what is beyond 8 MiB, and takes more when some is taken", async () => {
  const queue = new MessageQueue<number>();
  assert.deepEqual([1, 2, 3].map((item) => queue.push(item, 4 * MIB)), [true, true, false]);
  const iterator = queue[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).value, 1);
  assert.deepEqual([queue.push(4, 4 * MIB), queue.push(5, 1)], [true, false]);
});

Deno.test("MessageQueue.push() refuses more than 1,024 messages, however small", () => {
  const queue = new MessageQueue<number>();
  for (let item = 0; item < MAX_QUEUED_MESSAGES; item++) assert.ok(queue.push(item, 0));
  assert.ok(!queue.push(0, 0));
});

Deno.test("F17: queues share a budget, and give back what nobody took", async () => {
  const budget = new ByteBudget(10);
  const [one, other, third] = [0, 0, 0].map(() => new MessageQueue<string>({ budget }));
  assert.deepEqual([one!.push("a", 6), other!.push("b", 6), other!.push("c", 4)], [true, false, true]);
  one!.discard();
  assert.ok(third!.push("d", 6));
  for await (const item of third!) {
    assert.equal(item, "d");
    assert.ok(third!.push("e", 6));
    break;
  }
  assert.ok(one!.push("f", 6), "an iteration that is left early gives back too");
});
