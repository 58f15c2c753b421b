import assert from "node:assert/strict";
import { LITTLE_ENDIAN } from "./libc.ts";
import { encodeLoopConfig } from "./loop.ts";

Deno.test("encodeLoopConfig() places the fields of struct loop_config and cuts a long name", () => {
  const file = `/${"x".repeat(100)}`;
  const options = { readOnly: true, partitions: true, offset: 4096, sizeLimit: 2 ** 33, blockSize: 4096 };
  const bytes = encodeLoopConfig(9, { ...options, file });
  const view = new DataView(bytes.buffer);
  assert.equal(bytes.length, 304);
  assert.equal(view.getUint32(0, LITTLE_ENDIAN), 9);
  assert.equal(view.getUint32(4, LITTLE_ENDIAN), 4096);
  assert.equal(view.getBigUint64(32, LITTLE_ENDIAN), 4096n);
  assert.equal(view.getBigUint64(40, LITTLE_ENDIAN), 2n ** 33n);
  assert.equal(view.getUint32(60, LITTLE_ENDIAN), 1 | 8);
  assert.equal(bytes.subarray(64, 128).indexOf(0), 63);
});
