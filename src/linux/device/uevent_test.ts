import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeUevent, UeventSocket } from "./uevent.ts";

Deno.test("decodeUevent() reads action, path and fields", () => {
  const text = "add@/devices/virtual/block/dm-0\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=dm-0\0X=a=b\0";
  const event = decodeUevent(new TextEncoder().encode(text));
  assert.ok(event);
  const { action, devPath, subsystem, devName, fields } = event;
  assert.deepEqual({ action, devPath, subsystem, devName }, {
    action: "add",
    devPath: "/devices/virtual/block/dm-0",
    subsystem: "block",
    devName: "dm-0",
  });
  assert.equal(fields.get("X"), "a=b");
});

Deno.test("decodeUevent() leaves udev's messages and any other bytes alone", () => {
  assert.equal(decodeUevent(new TextEncoder().encode("libudev\0\xfe\xed\xca\xfe")), undefined);
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    decodeUevent(bytes);
  }));
});

Deno.test("UeventSocket.events() ends with the signal's reason", async () => {
  using socket = new UeventSocket();
  const events = socket.events({ signal: AbortSignal.timeout(20) });
  await assert.rejects(async () => {
    for await (const _ of events);
  }, { name: "TimeoutError" });
});
