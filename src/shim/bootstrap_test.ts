import assert from "node:assert/strict";
import { socketAddress } from "./bootstrap.ts";

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
