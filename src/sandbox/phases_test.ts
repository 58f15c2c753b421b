import assert from "node:assert/strict";
import { Phases } from "./phases.ts";

Deno.test("Phases.measure() notes each span, also of work that fails", async () => {
  let ms = 0;
  const phases = new Phases(() => ms);
  assert.equal(await phases.measure("boot", () => (ms += 30)), 30);
  await assert.rejects(phases.measure("connect", () => {
    ms += 12;
    throw new Error("refused");
  }));
  assert.deepEqual(phases.report(), { boot: 30, connect: 12, total: 42 });
});
