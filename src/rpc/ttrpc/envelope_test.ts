import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { Health } from "../../proto/health_pb.ts";
import { StatusSchema } from "../../proto/rpc_status_pb.ts";
import { KeyValueSchema, ResponseSchema } from "../../proto/ttrpc_pb.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeStatus,
  fromMetadata,
  requestHead,
  requestPayloadHead,
  requestTail,
  responsePayloadHead,
  toMetadata,
} from "./envelope.ts";

/** Lengths around the steps of a varint. */
const lengths = fc.constantFrom(0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152);

Deno.test("the parts of a request are a ttrpc.Request", () => {
  fc.assert(fc.property(lengths, fc.option(fc.integer({ min: 1, max: 1e9 })), (length, timeoutMs) => {
    const payload = new Uint8Array(length).fill(0x12);
    const header = new Headers({ "containerd-namespace-ttrpc": "k8s.io", traceparent: "00-1-2-01" });
    const tail = requestTail(timeoutMs ?? undefined, header);
    const request = decodeRequest(concat(requestHead(Health.method.check), requestPayloadHead(payload), payload, tail));
    assert.equal(request.service, "grpc.Health");
    assert.equal(request.method, "Check");
    assert.ok(isSame(request.payload, payload));
    assert.equal(request.timeoutNano, BigInt(timeoutMs ?? 0) * 1_000_000n);
    assert.deepEqual([...fromMetadata(request.metadata)], [...header]);
  }));
});

Deno.test("the parts of a response are a ttrpc.Response, by both ways of reading one", () => {
  fc.assert(fc.property(lengths, (length) => {
    const payload = new Uint8Array(length).fill(0x12);
    const short = concat(responsePayloadHead(payload), payload);
    assert.ok(isSame(short, toBinary(ResponseSchema, create(ResponseSchema, { payload }))));
    const withStatus = toBinary(ResponseSchema, create(ResponseSchema, { payload, status: {} }));
    for (const bytes of [short, withStatus]) {
      const response = decodeResponse(bytes);
      assert.equal(response.status, undefined);
      assert.ok(isSame(response.payload, payload));
    }
  }));
});

Deno.test("decodeResponse() gives the status that encodeStatus() took", () => {
  const status = create(StatusSchema, { code: 5, message: "gone" });
  assert.deepEqual(decodeResponse(encodeStatus(status)).status, status);
});

Deno.test("decodeResponse() returns or throws, whatever the bytes", () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    try {
      assert.ok(decodeResponse(bytes).payload.length <= bytes.length);
    } catch (error) {
      assert.ok(!(error instanceof assert.AssertionError));
    }
  }));
});

/** Keys and values as a peer gets them. */
function sent(header: Headers): string[][] {
  const bytes = [...requestHead(Health.method.check), ...requestTail(undefined, header)];
  return decodeRequest(new Uint8Array(bytes)).metadata.map(({ key, value }) => [key, value]);
}

Deno.test.each<{ from: string; init: HeadersInit }>([
  { from: "pairs", init: [["trace", "a"], ["other", "x, y"], ["Trace", "b"]] },
  { from: "other metadata", init: toMetadata([["trace", "a"], ["trace", "b"], ["other", "x, y"]]) },
])("kubernetes T1: toMetadata() of $from leaves with an entry for each value, and reads as Headers do", ({ init }) => {
  const metadata = toMetadata(init);
  assert.deepEqual(sent(metadata).toSorted(), [["other", "x, y"], ["trace", "a"], ["trace", "b"]]);
  assert.equal(metadata.get("TRACE"), "a, b");
});

Deno.test("kubernetes T1: toMetadata() follows set() and delete(), and takes a record and Headers", () => {
  const metadata = toMetadata({ a: "1", b: "2" });
  metadata.append("a", "3");
  metadata.set("B", "4");
  assert.deepEqual(sent(metadata), [["a", "1"], ["a", "3"], ["b", "4"]]);
  metadata.delete("A");
  assert.deepEqual(sent(metadata), [["b", "4"]]);
  assert.deepEqual(sent(toMetadata(new Headers({ c: "5" }))), [["c", "5"]]);
});

Deno.test("fromMetadata() joins repeated keys and leaves out what no header can be", () => {
  const metadata = [["a", "1"], ["A", "2"], ["b c", "3"], ["d", "\u0000"]].map(([key, value]) =>
    create(KeyValueSchema, { key: key!, value: value! })
  );
  assert.deepEqual([...fromMetadata(metadata)], [["a", "1, 2"]]);
});

Deno.test("fromMetadata() copies no value of a key twice, however many there are", () => {
  const metadata = Array.from({ length: 500 }, (_, value) => create(KeyValueSchema, { key: "a", value: `${value}` }));
  let copied = 0;
  const iterate = Array.prototype[Symbol.iterator];
  Array.prototype[Symbol.iterator] = function (this: unknown[]) {
    copied += this.length;
    return iterate.call(this);
  };
  try {
    fromMetadata(metadata);
  } finally {
    Array.prototype[Symbol.iterator] = iterate;
  }
  assert.ok(copied < 5000, `${copied} steps for 500 values`);
});

function concat(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** assert.deepEqual compares element by element, which takes seconds for megabytes. */
function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
