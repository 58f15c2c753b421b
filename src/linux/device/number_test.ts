import assert from "node:assert/strict";
import fc from "fast-check";
import { joinDevice, splitDevice } from "./number.ts";

Deno.test("splitDevice() undoes joinDevice()", () => {
  const numbers = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(fc.property(numbers, numbers, (major, minor) => {
    assert.deepEqual(splitDevice(joinDevice({ major, minor })), { major, minor });
  }));
});
Deno.test("joinDevice() is makedev(3)", () => {
  assert.equal(joinDevice({ major: 8, minor: 1 }), 0x801n);
  assert.equal(joinDevice({ major: 0xfff + 1, minor: 0x100 }), (0x1000n << 32n) | 0x100000n);
});
