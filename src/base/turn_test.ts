import assert from "node:assert/strict";
import { nextTurn } from "./turn.ts";

Deno.test("nextTurn() comes after any chain of settled promises, and before a timer that is far", async () => {
  let steps = 0;
  const chain = async () => {
    for (; steps < 1000; steps++) await undefined;
  };
  void chain();
  await nextTurn();
  assert.equal(steps, 1000);
});
