import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { BootstrapParamsSchema, LogLevel } from "../../proto/bootstrap_pb.ts";
import { parseStartInput } from "./input.ts";

const SHIM = { address: "/run/containerd/containerd.sock", namespace: "default", id: "t1" };

Deno.test("parseStartInput() reads what containerd 2.3 sends (B52)", () => {
  const params = create(BootstrapParamsSchema, {
    instanceId: "t1",
    namespace: "default",
    logLevel: LogLevel.DEBUG,
    containerdTtrpcAddress: "/run/c.ttrpc",
    socketDir: "/run/c/s",
  });
  assert.deepEqual(parseStartInput(toBinary(BootstrapParamsSchema, params), SHIM), {
    debug: true,
    socketDir: "/run/c/s",
    ttrpcAddress: "/run/c.ttrpc",
  });
});

Deno.test.each([
  { title: "nothing", bytes: new Uint8Array() },
  {
    title: "options as an Any, as older ones send",
    bytes: toBinary(AnySchema, create(AnySchema, { typeUrl: "runtimeoptions.v1.Options", value: Uint8Array.of(1, 2) })),
  },
  { title: "no protobuf", bytes: Uint8Array.of(255, 255, 255) },
])(
  "parseStartInput() takes nothing from $title (B52)",
  ({ bytes }) => assert.deepEqual(parseStartInput(bytes, SHIM), {}),
);
