import assert from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { CheckRequestSchema, Health, HealthCheckResponseSchema } from "../../proto/health_pb.ts";
import { RequestSchema, ResponseSchema } from "../../proto/ttrpc_pb.ts";
import { FrameChannel } from "./channel.ts";
import { FrameDecoder } from "./frame.ts";
import { ServerCall } from "./server_call.ts";

/** Returns the status that the peer gets when a handler fails with this error. */
async function statusOf(error: unknown) {
  const written: Uint8Array[] = [];
  const channel = new FrameChannel({
    read: async () => null,
    write: async (data) => (written.push(data.slice()), data.length),
    close: () => {},
    [Symbol.dispose]: () => {},
  });
  let ended = 0;
  const call = new ServerCall({
    channel,
    streamId: 1,
    service: Health,
    method: Health.method.check,
    request: create(RequestSchema, {}),
    defaultCode: Code.Internal,
    onEnd: () => ended++,
  });
  call.fail(error);
  await channel.closeFlushed(1000);
  assert.equal(ended, 1);
  assert.ok(call.hasEnded);
  const decoder = new FrameDecoder();
  for (const bytes of written) {
    decoder.space().set(bytes);
    decoder.filled(bytes.length);
  }
  return fromBinary(ResponseSchema, decoder.next()!.data).status!;
}

class Unreadable extends Error {
  override get message(): string {
    throw new Error("no text");
  }
}

const service = "s".repeat(5 << 20);

Deno.test.each([
  { name: "a text of 4,194,284 bytes", error: new ConnectError("x".repeat(4_194_284), Code.NotFound), code: 5 },
  { name: "a text of 20 MiB in a cause", error: new Error("a", { cause: new Error("x".repeat(20 << 20)) }), code: 13 },
  {
    name: "details of 5 MiB",
    error: new ConnectError("a", Code.NotFound, undefined, [{ desc: CheckRequestSchema, value: { service } }]),
    code: 5,
  },
  {
    name: "details that cannot be packed",
    error: new ConnectError("a", Code.NotFound, undefined, [{
      desc: HealthCheckResponseSchema,
      value: { status: "x" as never },
    }]),
    code: 5,
  },
  { name: "a text that cannot be read", error: new Unreadable(), code: 13 },
  { name: "a value that has no text", error: Object.create(null), code: 13 },
])("F9: ServerCall.fail() with $name answers within 4 KiB, and ends the call", async ({ error, code }) => {
  const status = await statusOf(error);
  assert.equal(status.code, code);
  assert.ok(new TextEncoder().encode(status.message).length <= 4096);
  assert.deepEqual(status.details, []);
});
