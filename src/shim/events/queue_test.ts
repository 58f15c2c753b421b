import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { EventQueue, type Lane } from "./queue.ts";

function event(lane: Lane, topic: string, bytes = 10) {
  return { topic, lane, atMs: 0, event: create(AnySchema, { value: new Uint8Array(bytes) }) };
}

function drain(queue: EventQueue): string[] {
  const topics: string[] = [];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) topics.push(next.topic);
  return topics;
}

Deno.test("EventQueue keeps the order of changes and ends, and lets notices wait for both", () => {
  const queue = new EventQueue();
  const pushed = [["notice", "oom"], ["change", "start"], ["end", "exit"], ["change", "exec-added"]] as const;
  for (const [lane, topic] of pushed) assert.ok(queue.push(event(lane, topic)));
  assert.equal(queue.length, 4);
  assert.deepEqual(drain(queue), ["start", "exit", "exec-added", "oom"]);
});

for (const lane of ["change", "notice"] as const) {
  for (const bytes of [1, 100_000, 9 << 20]) {
    Deno.test(`F6: EventQueue takes an exit, however many events of ${bytes} bytes fill the lane "${lane}"`, () => {
      const queue = new EventQueue();
      let taken = 0;
      while (queue.push(event(lane, "flood", bytes))) taken++;
      assert.ok(taken <= 2_048 && taken * bytes <= 8 << 20, `${taken} were taken`);
      assert.ok(queue.push(event("end", "/tasks/exit")));
      assert.equal(drain(queue).filter((topic) => topic === "/tasks/exit").length, 1);
      assert.ok(queue.push(event(lane, "again", 1)), "room is given back");
    });
  }
}
