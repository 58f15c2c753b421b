import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeDmDevice, decodeDmTable, encodeDmRequest, linearTarget, verityTarget } from "./devicemapper.ts";
import { LITTLE_ENDIAN } from "./libc.ts";

Deno.test("verityTarget() writes the table that veritysetup would", () => {
  const target = verityTarget({
    dataDevice: "/dev/vda",
    hashDevice: "/dev/vda",
    dataBlockSize: 4096,
    hashBlockSize: 4096,
    dataBlocks: 100,
    hashStartBlock: 101,
    algorithm: "sha256",
    rootHash: "abcd",
    salt: "",
    features: ["restart_on_corruption"],
  });
  assert.deepEqual(target, {
    start: 0,
    length: 800,
    type: "verity",
    parameters: "1 /dev/vda /dev/vda 4096 4096 100 101 sha256 abcd - 1 restart_on_corruption",
  });
});

Deno.test("encodeDmRequest() places the fields of struct dm_ioctl", () => {
  const bytes = encodeDmRequest({ name: "vroot", uuid: "u1", flags: 1 });
  const view = new DataView(bytes.buffer);
  assert.equal(view.getUint32(0, LITTLE_ENDIAN), 4, "version");
  assert.equal(view.getUint32(12, LITTLE_ENDIAN), bytes.length, "data_size");
  assert.equal(view.getUint32(16, LITTLE_ENDIAN), 312, "data_start");
  assert.equal(view.getUint32(28, LITTLE_ENDIAN), 1, "flags");
  assert.equal(new TextDecoder().decode(bytes.subarray(48, 53)), "vroot");
  assert.equal(new TextDecoder().decode(bytes.subarray(176, 178)), "u1");
});

Deno.test("encodeDmRequest() writes the targets one after the other, each aligned to 8 bytes", () => {
  const bytes = encodeDmRequest({
    name: "joined",
    targets: [
      linearTarget({ start: 0, length: 8, device: "/dev/loop0", offset: 0 }),
      linearTarget({ start: 8, length: 16, device: "/dev/loop11", offset: 3 }),
    ],
  });
  const view = new DataView(bytes.buffer);
  assert.equal(view.getUint32(20, LITTLE_ENDIAN), 2);
  const next = view.getUint32(312 + 20, LITTLE_ENDIAN);
  assert.equal(next, 56); // 40 + "/dev/loop0 0\0", aligned
  assert.equal(view.getBigUint64(312 + next, LITTLE_ENDIAN), 8n);
  assert.equal(view.getBigUint64(312 + next + 8, LITTLE_ENDIAN), 16n);
  const text = new TextDecoder().decode(bytes.subarray(312 + next + 24, 312 + next + 54));
  assert.equal(text, "linear\0\0\0\0\0\0\0\0\0\0/dev/loop11 3\0");
});

Deno.test("decodeDmTable() reads targets whose offsets count from the table's start", () => {
  const rows = [0, 8].map((start) => linearTarget({ start, length: 8, device: "a", offset: start }));
  const bytes = encodeDmRequest({ name: "x", targets: rows });
  // A request counts from each target: 40 bytes and "a 0\0", aligned.
  new DataView(bytes.buffer).setUint32(312 + 48 + 20, 96, LITTLE_ENDIAN);
  assert.deepEqual(decodeDmTable(bytes), rows);
  new DataView(bytes.buffer).setUint32(312 + 20, 0, LITTLE_ENDIAN);
  assert.throws(() => decodeDmTable(bytes), { message: "Cannot decode table: target 2 of 2 missing" });
});

Deno.test("decodeDmDevice() splits the device number", () => {
  const bytes = encodeDmRequest({ name: "x" });
  new DataView(bytes.buffer).setBigUint64(40, 0xfd03n, LITTLE_ENDIAN);
  assert.deepEqual(decodeDmDevice(bytes), { major: 253, minor: 3 });
});

Deno.test("decodeDmTable() ends for any bytes, with a RangeError at worst", () => {
  const header = fc.record({ count: fc.integer({ min: 0, max: 0xffffffff }), start: fc.integer({ min: 0, max: 400 }) });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), header, (bytes, { count, start }) => {
    if (bytes.length > 312) {
      new DataView(bytes.buffer).setUint32(16, start, LITTLE_ENDIAN);
      new DataView(bytes.buffer).setUint32(20, count, LITTLE_ENDIAN);
    }
    try {
      decodeDmTable(bytes);
    } catch (error) {
      assert.ok(error instanceof RangeError);
    }
  }));
});

Deno.test("encodeDmRequest() refuses a name that does not fit", () => {
  assert.throws(() => encodeDmRequest({ name: "n".repeat(128) }), RangeError);
});
