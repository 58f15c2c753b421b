/** Peers that break the protocol, and the server's reaction: written in frames, not with a client. */
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { createLogger } from "../../base/log.ts";
import { Health } from "../../proto/health_pb.ts";
import { RequestSchema, ResponseSchema } from "../../proto/ttrpc_pb.ts";
import type { Duplex } from "../transport/duplex.ts";
import { FRAME_FLAG, FRAME_TYPE, FrameDecoder, FrameEncoder, HEADER_BYTES, MAX_DATA_BYTES } from "./frame.ts";
import { defineService, serveConnection } from "./server.ts";

const { request, data } = FRAME_TYPE;

/** The code and stream of each answer to `input`, after which the peer stops sending. */
async function answersTo(...input: Uint8Array[]): Promise<{ streamId: number; code: number }[]> {
  const pieces = [...input];
  const written: Uint8Array[] = [];
  const duplex: Duplex = {
    async read(buffer) {
      const piece = pieces.shift();
      if (piece === undefined) return null;
      const taken = piece.subarray(0, buffer.length);
      buffer.set(taken);
      if (taken.length < piece.length) pieces.unshift(piece.subarray(taken.length));
      return taken.length;
    },
    async write(bytes) {
      written.push(bytes.slice());
      return bytes.length;
    },
    close: () => {},
    [Symbol.dispose]: () => {},
  };
  const health = defineService(Health, { check: () => ({ status: 1 }), version: () => new Promise(() => {}) });
  const log = createLogger({ sink: () => {} });
  await serveConnection(duplex, [health], { signal: new AbortController().signal, log, lingerMs: 5 });
  return written.flatMap((bytes) => [...framesOf(bytes)]);
}

function* framesOf(bytes: Uint8Array) {
  const decoder = new FrameDecoder();
  decoder.space().set(bytes);
  decoder.filled(bytes.length);
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
    assert.equal(frame.type, FRAME_TYPE.response);
    yield { streamId: frame.streamId, code: fromBinary(ResponseSchema, frame.data).status?.code ?? 0 };
  }
}

function frame(streamId: number, type: number, bytes: Uint8Array = new Uint8Array(), flags = 0): Uint8Array {
  const encoder = new FrameEncoder();
  encoder.frame(streamId, { type, flags }, bytes);
  return encoder.take();
}

function call(method: string, { service = "grpc.Health", payload = new Uint8Array() } = {}): Uint8Array {
  return toBinary(RequestSchema, create(RequestSchema, { service, method, payload }));
}

function tooLong(streamId: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + MAX_DATA_BYTES + 1);
  new DataView(bytes.buffer).setUint32(0, MAX_DATA_BYTES + 1);
  new DataView(bytes.buffer).setUint32(4, streamId);
  bytes[8] = request;
  return bytes;
}

const check = call("Check");

Deno.test.each([
  { rule: "answers a call", input: [frame(1, request, check)], streamId: 1, code: 0 },
  { rule: "answers in spite of unknown flags", input: [frame(1, request, check, 0xf8)], streamId: 1, code: 0 },
  { rule: "refuses an even stream id", input: [frame(2, request, check)], streamId: 2, code: Code.InvalidArgument },
  { rule: "refuses stream id 0", input: [frame(0, request, check)], streamId: 0, code: Code.InvalidArgument },
  { rule: "refuses a type it does not know", input: [frame(1, 9, check)], streamId: 1, code: Code.InvalidArgument },
  { rule: "refuses a response", input: [frame(1, FRAME_TYPE.response)], streamId: 1, code: Code.InvalidArgument },
  { rule: "refuses data before a request", input: [frame(1, data)], streamId: 1, code: Code.InvalidArgument },
  {
    rule: "refuses a request that is none",
    input: [frame(1, request, new Uint8Array([0xff]))],
    streamId: 1,
    code: Code.InvalidArgument,
  },
  {
    rule: "refuses a message that is none",
    input: [frame(1, request, call("Check", { payload: new Uint8Array([0xff]) }))],
    streamId: 1,
    code: Code.InvalidArgument,
  },
  {
    rule: "knows no other method",
    input: [frame(1, request, call("check"))],
    streamId: 1,
    code: Code.Unimplemented,
  },
  {
    rule: "knows no other service",
    input: [frame(1, request, call("Check", { service: "Health" }))],
    streamId: 1,
    code: Code.Unimplemented,
  },
  {
    rule: "aborts a call whose caller has stopped sending",
    input: [frame(1, request, call("Version"))],
    streamId: 1,
    code: Code.Canceled,
  },
])("serveConnection() $rule", async ({ input, streamId, code }) => {
  assert.deepEqual(await answersTo(...input), [{ streamId, code }]);
});

Deno.test("wire W18: serveConnection() answers calls whose stream ids come in any order, and refuses one in use", async () => {
  const order = [5, 3, 9, 7, 1, 7].map((streamId) => frame(streamId, request, check));
  const pending = [frame(11, request, call("Version")), frame(11, request, check)];
  const answers = await answersTo(...order, ...pending);
  assert.deepEqual(answers.filter(({ streamId }) => streamId < 11).map(({ streamId, code }) => [streamId, code]), [
    ...[5, 3, 9, 7, 1, 7].map((streamId) => [streamId, 0]),
  ]);
  assert.deepEqual(answers.filter(({ streamId }) => streamId === 11).map(({ code }) => code), [
    Code.InvalidArgument,
    Code.Canceled,
  ]);
});

Deno.test("serveConnection() refuses a frame beyond 4 MiB and answers the next", async () => {
  const answers = await answersTo(tooLong(1), frame(3, request, check));
  assert.deepEqual(answers, [{ streamId: 1, code: Code.ResourceExhausted }, { streamId: 3, code: 0 }]);
});

Deno.test("serveConnection() ignores data of a call that has ended", async () => {
  const late = frame(1, data, check, FRAME_FLAG.remoteClosed);
  assert.deepEqual(await answersTo(frame(1, request, check), late), [{ streamId: 1, code: 0 }]);
});

Deno.test("serveConnection() reads no more from a peer that takes no answers", async () => {
  const stop = new AbortController();
  const stuck = Promise.withResolvers<never>();
  let reads = 0;
  const duplex: Duplex = {
    async read(buffer) {
      if (stop.signal.aborted) throw new Error("closed");
      await new Promise((resolve) => setTimeout(resolve));
      const bytes = frame(2 * reads++ + 1, request, call("Version"));
      buffer.set(bytes);
      return bytes.length;
    },
    write: () => stuck.promise,
    close: () => stuck.reject(new Error("closed")),
    [Symbol.dispose]: () => {},
  };
  const health = defineService(Health, { version: () => ({ agentVersion: "x".repeat(1 << 20) }) });
  const log = createLogger({ sink: () => {} });
  const serving = serveConnection(duplex, [health], { signal: stop.signal, log, drainMs: 5 });
  while (reads < 9) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(reads <= 12, `${reads} reads`);
  stop.abort();
  await serving;
});

Deno.test("serveConnection() survives any bytes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 30 }), async (noise, body) => {
      await answersTo(frame(1, request, body), noise);
    }),
    { numRuns: 200 },
  );
});
