import assert from "node:assert/strict";
import fc from "fast-check";
import {
  attribute,
  attributeMap,
  decodeAck,
  decodeAttributes,
  decodeMessages,
  encodeAttributes,
  encodeMessage,
  NLM_F,
  NLMSG,
  readNumber,
  readText,
} from "./netlink.ts";

const messages = fc.record({
  type: fc.integer({ min: 0, max: 0xffff }),
  flags: fc.integer({ min: 0, max: 0xffff }),
  sequence: fc.integer({ min: 0, max: 0xffffffff }),
  portId: fc.integer({ min: 0, max: 0xffffffff }),
  payload: fc.uint8Array({ maxLength: 70 }),
});
const attributes = fc.record({
  type: fc.integer({ min: 0, max: 0x3fff }),
  value: fc.uint8Array({ maxLength: 40 }),
});

Deno.test("decodeMessages() undoes encodeMessage(), also for several in one datagram", () => {
  fc.assert(fc.property(fc.array(messages, { maxLength: 5 }), (list) => {
    const datagram = concat(list.map(encodeMessage));
    assert.deepEqual(decodeMessages(datagram).map(({ payload, ...rest }) => ({ ...rest, payload: [...payload] })), [
      ...list.map(({ payload, ...rest }) => ({ ...rest, payload: [...payload] })),
    ]);
  }));
});

Deno.test("decodeAttributes() undoes encodeAttributes()", () => {
  fc.assert(fc.property(fc.array(attributes, { maxLength: 6 }), (list) => {
    const decoded = decodeAttributes(encodeAttributes(list));
    assert.deepEqual(
      decoded.map(({ type, value }) => [type, ...value]),
      list.map(({ type, value }) => [type, ...value]),
    );
  }));
});

Deno.test("decoders end for any bytes, with a RangeError at worst", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const ack = { type: NLMSG.ERROR, flags: NLM_F.ACK_TLVS, sequence: 0, portId: 0, payload: bytes };
    for (const decode of [() => decodeMessages(bytes), () => decodeAttributes(bytes), () => decodeAck(ack)]) {
      try {
        decode();
      } catch (error) {
        assert.ok(error instanceof RangeError);
      }
    }
  }));
});

Deno.test.each([
  { what: "an empty length", bytes: [0, 0, 0, 0] },
  { what: "a length below the header", bytes: [3, 0, 1, 0] },
  { what: "a length beyond the end", bytes: [9, 0, 1, 0, 1, 2, 3, 4] },
  { what: "a cut header", bytes: [4, 0, 1] },
])("decodeAttributes() refuses $what", ({ bytes }) => {
  assert.throws(() => decodeAttributes(Uint8Array.from(bytes)), RangeError);
});

Deno.test("attribute.nested() is read back level by level", () => {
  const bytes = encodeAttributes([attribute.nested(18, [attribute.string(1, "veth"), attribute.u32(2, 77)])]);
  const inner = attributeMap(attributeMap(bytes).get(18)!);
  assert.equal(readText(inner.get(1)), "veth");
  assert.equal(readNumber(inner.get(2)), 77);
});

Deno.test("attribute.string() refuses a NUL", () => {
  assert.throws(() => attribute.string(3, "a\0b"), TypeError);
});

Deno.test.each([
  { value: [], number: undefined },
  { value: [7], number: 7 },
  { value: [1, 2], number: 0x201 },
  { value: [255, 255, 255, 255], number: 0xffffffff },
  { value: [0, 0, 0, 0, 1, 0, 0, 0], number: 2 ** 32 },
  { value: [1, 2, 3], number: undefined },
])("readNumber($value) is $number", ({ value, number }) => {
  assert.equal(readNumber(Uint8Array.from(value)), number);
});

Deno.test("decodeAck() reads the errno and the kernel's text behind the echoed header", () => {
  const text = encodeAttributes([attribute.string(1, "no such thing")]);
  const payload = concat([new Uint8Array(new Int32Array([-22]).buffer), new Uint8Array(16), text]);
  const message = { type: NLMSG.ERROR, flags: NLM_F.CAPPED | NLM_F.ACK_TLVS, sequence: 1, portId: 0, payload };
  assert.deepEqual(decodeAck(message), { errno: 22, text: "no such thing" });
  assert.deepEqual(decodeAck({ ...message, flags: 0 }), { errno: 22, text: undefined });
  assert.deepEqual(decodeAck({ ...message, flags: 0, payload: new Uint8Array(20) }), { errno: 0, text: undefined });
});

function concat(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
