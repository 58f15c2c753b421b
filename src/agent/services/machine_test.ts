import assert from "node:assert/strict";
import type { HandlerContext } from "@connectrpc/connect";
import type { DeviceWaiter } from "../devices/waiter.ts";
import { machineMethods } from "./machine.ts";

Deno.test("wire W8: addSwap() waits for the disk at the slots, in hexadecimal", async () => {
  const asked: unknown[] = [];
  const devices = {
    disk: (at: unknown) => {
      asked.push(at);
      return Promise.reject(new Error("no such disk"));
    },
  };
  const { addSwap } = machineMethods({ devices: devices as unknown as DeviceWaiter });
  const context = { signal: new AbortController().signal } as HandlerContext;
  await assert.rejects(async () => await addSwap!({ PCIPath: [2, 31] } as never, context), { message: "no such disk" });
  assert.deepEqual(asked, [{ bus: "pci", path: "02/1f" }]);
});
