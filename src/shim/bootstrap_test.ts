import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { BootstrapParamsSchema, LogLevel } from "../proto/bootstrap_pb.ts";
import { parseStartInput, socketAddress } from "./bootstrap.ts";

const SHIM = { address: "/run/containerd/containerd.sock", namespace: "default", id: "t1" };

Deno.test("socketAddress() is containerd's formula: the SHA-256 of address, namespace and id", async () => {
  // printf /run/containerd/containerd.sock/default/t1 | sha256sum
  const digest = "df6a0c5cd2e9a1a16d9a3f2447365d9fc6021bc1d3d9a4caa2f5b2c4f773758f";
  const address = await socketAddress(SHIM);
  assert.equal(address, `unix:///run/containerd/s/${digest}`);
  assert.notEqual(address, await socketAddress({ ...SHIM, id: "t2" }));
  assert.equal(await socketAddress({ ...SHIM, address: "/run/containerd//containerd.sock" }), address);
});

Deno.test("socketAddress() takes no containerd address, as CRI-O has none, and another directory (B52)", async () => {
  assert.match(await socketAddress({ ...SHIM, address: "" }, "/run/c/s"), /^unix:\/\/\/run\/c\/s\/[0-9a-f]{64}$/);
});

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
