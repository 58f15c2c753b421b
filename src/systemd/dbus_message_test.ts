import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeMessage, encodeMessage, MESSAGE, type Message } from "./dbus_message.ts";
import { splitSignature, type Value } from "./dbus_wire.ts";

const EXAMPLE: Message = {
  type: MESSAGE.call,
  serial: 7,
  path: "/a",
  interface: "b.c",
  member: "D",
  destination: "e.f",
  signature: "sba(sv)",
  body: ["text", true, [["One", { signature: "t", value: 1n }], ["Two", { signature: "as", value: ["x", "y"] }]]],
};

Deno.test("encodeMessage() lays a call out as the specification says", () => {
  const { type, serial } = EXAMPLE;
  const bytes = encodeMessage({ type, serial, path: "/a", member: "D", signature: "u", body: [258] });
  const expected = [
    "6c010001", // little endian, call, no flags, version 1
    "0400000007000000", // length of the body, serial
    "27000000", // 39 bytes of fields, to the end of the last one
    "01016f00020000002f61000000000000", // path, and what aligns the next field
    "03017300010000004400000000000000", // member
    "0801670001750000", // signature, and what aligns the body
    "02010000",
  ];
  assert.equal(bytes.toHex(), expected.join(""));
});

Deno.test("decodeMessage() gives back what was encoded, and knows how long it is", () => {
  const bytes = encodeMessage(EXAMPLE);
  const more = new Uint8Array([...bytes, 1, 2, 3]);
  assert.deepEqual(decodeMessage(more), { message: EXAMPLE, length: bytes.length });
});

Deno.test("decodeMessage() waits for all of a message", () => {
  const bytes = encodeMessage(EXAMPLE);
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodeMessage(bytes.slice(0, length)), undefined);
  }
});

/** A type and a value of it. */
const typed: fc.Arbitrary<[string, Value]> = fc.letrec<{ one: [string, Value] }>((tie) => ({
  one: fc.oneof(
    { maxDepth: 3 },
    fc.nat(255).map((value): [string, Value] => ["y", value]),
    fc.boolean().map((value): [string, Value] => ["b", value]),
    fc.integer({ min: -32768, max: 32767 }).map((value): [string, Value] => ["n", value]),
    fc.nat(65535).map((value): [string, Value] => ["q", value]),
    fc.integer().map((value): [string, Value] => ["i", value]),
    fc.nat(0xffff_ffff).map((value): [string, Value] => ["u", value]),
    fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }).map((value): [string, Value] => ["x", value]),
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((value): [string, Value] => ["t", value]),
    fc.double({ noNaN: true }).map((value): [string, Value] => ["d", value]),
    fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0")).map((
      value,
    ): [string, Value] => ["s", value]),
    tie("one").map(([signature, value]): [string, Value] => ["v", { signature, value }]),
    tie("one").chain(([type, value]) =>
      fc.nat(3).map((count): [string, Value] => [`a${type}`, Array(count).fill(value)])
    ),
    fc.array(tie("one"), { minLength: 1, maxLength: 3 })
      .map((all): [string, Value] => [`(${all.map(([type]) => type).join("")})`, all.map(([, value]) => value)]),
  ),
})).one;

Deno.test("decodeMessage() after encodeMessage() is the same, for every type", () => {
  fc.assert(fc.property(fc.array(typed, { maxLength: 4 }), (all) => {
    const signature = all.map(([type]) => type).join("");
    const message: Message = {
      type: MESSAGE.signal,
      serial: 1,
      path: "/",
      interface: "a.b",
      member: "C",
      body: all.map(([, value]) => value),
    };
    if (signature !== "") message.signature = signature;
    assert.deepEqual(decodeMessage(encodeMessage(message))?.message, message);
    assert.deepEqual(splitSignature(signature), all.map(([type]) => type));
  }));
});

Deno.test("decodeMessage() of any bytes ends, and leads nowhere but to an error", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
    const bytes = new Uint8Array(noise);
    bytes[0] = "l".charCodeAt(0);
    try {
      decodeMessage(bytes);
    } catch (error) {
      assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
    }
  }));
});

Deno.test("Writer puts a number of any type where its buffer ends", () => {
  for (let length = 240; length < 272; length++) {
    const text = "x".repeat(length);
    const message: Message = { type: MESSAGE.signal, serial: 1, signature: "synqiuxtdb" };
    message.body = [text, 1, -2, 3, -4, 5, -6n, 7n, 0.5, true];
    assert.deepEqual(decodeMessage(encodeMessage(message))?.message.body, message.body, `${length}`);
  }
});
