import assert from "node:assert/strict";
import { allocateGuestCid, localCid, randomCid } from "./vsock.ts";

Deno.test.each([
  { number: 0, cid: 3 },
  { number: 1 - 2 ** -53, cid: 0xfffffffe },
])("randomCid($number) is $cid", ({ number, cid }) => assert.equal(randomCid(() => number), cid));

Deno.test("a host without vhost-vsock is told apart from one that fails", () => {
  assert.throws(() => allocateGuestCid({ device: "/no/vhost-vsock" }), { code: "ENOENT" });
  assert.equal(localCid("/no/vsock"), undefined);
  assert.throws(() => allocateGuestCid({ device: "/dev/null", random: () => 0 }), {
    message: "VHOST_VSOCK_SET_GUEST_CID 3: ENOTTY",
  });
});
