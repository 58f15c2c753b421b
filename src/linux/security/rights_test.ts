import assert from "node:assert/strict";
import { capabilityData } from "./rights.ts";

Deno.test("capabilityData() splits sets in halves", () => {
  const data = new Uint32Array(capabilityData({ effective: 1n << 40n, permitted: 1n, inheritable: 2n }).buffer);
  assert.deepEqual([...data], [0, 1, 2, 1 << 8, 0, 0]);
});
