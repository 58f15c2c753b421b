import assert from "node:assert/strict";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { formatSwap, swapHeader } from "./machine.ts";

Deno.test("swapHeader() counts whole pages and ends with the magic", () => {
  const page = swapHeader(40960 + 5);
  assert.equal(new DataView(page.buffer).getUint32(1024, LITTLE_ENDIAN), 1);
  assert.equal(new DataView(page.buffer).getUint32(1028, LITTLE_ENDIAN), 9);
  assert.equal(new TextDecoder().decode(page.subarray(4086)), "SWAPSPACE2");
  assert.throws(() => swapHeader(40959), RangeError);
});

Deno.test("formatSwap() leaves what lies behind the first page", () => {
  const path = Deno.makeTempFileSync({ prefix: "machine_test-" });
  using _ = { [Symbol.dispose]: () => Deno.removeSync(path) };
  Deno.writeFileSync(path, new Uint8Array(40960).fill(7));
  formatSwap(path, 40960);
  const bytes = Deno.readFileSync(path);
  assert.equal(bytes.length, 40960);
  assert.deepEqual([bytes[4095], bytes[4096]], ["2".charCodeAt(0), 7]);
});
