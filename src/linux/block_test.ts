import assert from "node:assert/strict";
import fc from "fast-check";
import { deviceNode, deviceNodeByNumber, deviceNumber, joinDevice, splitDevice } from "./block.ts";

Deno.test("splitDevice() undoes joinDevice()", () => {
  const numbers = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(fc.property(numbers, numbers, (major, minor) => {
    assert.deepEqual(splitDevice(joinDevice({ major, minor })), { major, minor });
  }));
});

Deno.test("deviceNumber() knows /dev/null and that a file has none", () => {
  assert.deepEqual(deviceNumber("/dev/null"), { kind: "char", major: 1, minor: 3 });
  assert.equal(deviceNumber("/proc/version"), undefined);
});

Deno.test("deviceNode() follows DEVNAME of the device's uevent", () => {
  const sys = Deno.makeTempDirSync({ prefix: "block_test-" });
  using _ = { [Symbol.dispose]: () => Deno.removeSync(sys, { recursive: true }) };
  Deno.mkdirSync(`${sys}/dev/block/253:0`, { recursive: true });
  Deno.writeTextFileSync(`${sys}/dev/block/253:0/uevent`, "MAJOR=253\nMINOR=0\nDEVNAME=mapper/x\nDEVTYPE=disk\n");
  assert.equal(deviceNode(`${sys}/dev/block/253:0`, { dev: "/d" }), "/d/mapper/x");
  assert.equal(deviceNodeByNumber({ kind: "block", major: 253, minor: 0 }, { sys }), "/dev/mapper/x");
  Deno.writeTextFileSync(`${sys}/dev/block/253:0/uevent`, "DRIVER=pcieport\n");
  assert.equal(deviceNode(`${sys}/dev/block/253:0`), undefined);
});
