import assert from "node:assert/strict";
import { concat } from "./cpio.ts";
import { withoutSignature } from "./kernel_module.ts";

const code = new TextEncoder().encode("module code");
const signature = new Uint8Array(300).fill(7);
const info = Uint8Array.of(0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 300 >> 8, 300 & 0xff);
const magic = new TextEncoder().encode("~Module signature appended~\n");

Deno.test("withoutSignature() leaves the code alone", () => {
  assert.deepEqual(withoutSignature(concat([code, signature, info, magic])), code);
});

Deno.test("withoutSignature() gives an unsigned module back as it is", () => {
  assert.deepEqual(withoutSignature(code), code);
  assert.deepEqual(withoutSignature(new Uint8Array()), new Uint8Array());
});
