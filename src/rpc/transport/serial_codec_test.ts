import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeControl, escapeData, newNonce, SerialDecoder, type SerialEvent } from "./serial_codec.ts";

const HELLO = encodeControl("hello", "0123456789abcdef");

/** Events of `bytes` in pieces of `size`, with neighbouring data joined. */
function decode(bytes: Uint8Array, size = bytes.length): (string | number[])[] {
  const decoder = new SerialDecoder();
  const events: SerialEvent[] = [];
  for (let at = 0; at < bytes.length; at += size) events.push(...decoder.decode(bytes.subarray(at, at + size)));
  const joined: (string | number[])[] = [];
  for (const event of events) {
    const last = joined.at(-1);
    if (event.kind !== "data") joined.push(`${event.kind} ${event.nonce}`);
    else if (typeof last === "object") last.push(...event.bytes);
    else joined.push([...event.bytes]);
  }
  return joined;
}

/** Bytes among which those that mean something are common. */
const anyBytes = fc.array(
  fc.oneof(fc.constantFrom(0xf5, 0, 1, 2, 0x30, 0x61), fc.integer({ min: 0, max: 255 })),
  { maxLength: 60 },
).map((bytes) => Uint8Array.from(bytes));
const anySize = fc.integer({ min: 1, max: 70 });

Deno.test("SerialDecoder gives back what escapeData() took, however it is cut", () => {
  fc.assert(fc.property(anyBytes, anySize, (data, size) => {
    assert.deepEqual(decode(escapeData(data), size), data.length === 0 ? [] : [[...data]]);
  }));
});

Deno.test("SerialDecoder takes any bytes and still finds the hello after them", () => {
  fc.assert(fc.property(anyBytes, anyBytes, anySize, (garbage, data, size) => {
    const bytes = Uint8Array.of(...garbage, ...HELLO, ...escapeData(data));
    const events = decode(bytes, size);
    const hello = events.lastIndexOf("hello 0123456789abcdef");
    assert.notEqual(hello, -1);
    assert.deepEqual(events.slice(hello + 1), data.length === 0 ? [] : [[...data]]);
  }));
});

Deno.test("SerialDecoder finds no hello in escaped data", () => {
  fc.assert(fc.property(anyBytes, (data) => {
    const events = decode(escapeData(Uint8Array.of(...data, ...HELLO)));
    assert.deepEqual(events, [[...data, ...HELLO]]);
  }));
});

Deno.test("escapeData() copies nothing that needs no escape", () => {
  const data = Uint8Array.of(1, 2, 3);
  assert.equal(escapeData(data), data);
});

Deno.test("newNonce() is what encodeControl() takes", () => {
  const nonce = newNonce();
  assert.deepEqual(decode(encodeControl("answer", nonce), 3), [`answer ${nonce}`]);
});
