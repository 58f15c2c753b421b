import assert from "node:assert/strict";
import { until } from "../support/wait.ts";

/** Takes the processor, as others do on a busy machine. */
function stand(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

Deno.test("tests: until() is bounded by what it could look, not by seconds that the machine gave to others", async () => {
  let looks = 0;
  await until(() => (stand(300), ++looks === 4), { ms: 500 });
  assert.equal(looks, 4);
  await assert.rejects(until(() => false, { ms: 100 }), /Cannot see within 100 ms/);
});
