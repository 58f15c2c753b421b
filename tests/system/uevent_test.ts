/** Events of devices, as the real kernel sends them. Needs root. */
import assert from "node:assert/strict";
import { DeviceWaiter } from "../../src/agent/devices/waiter.ts";
import { UeventSocket } from "../../src/linux/device/uevent.ts";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";

const DEVICE = "/sys/devices/virtual/mem/null";

Deno.test(
  { name: "UeventSocket hears of a device from the moment it is made", ignore: leftOutUnlessRoot(import.meta) },
  async () => {
    using socket = new UeventSocket();
    // Writing an action asks the kernel to send the event once more.
    Deno.writeTextFileSync(`${DEVICE}/uevent`, "change");
    for await (const event of socket.events({ signal: AbortSignal.timeout(5000) })) {
      if (event.devPath !== DEVICE.slice("/sys".length)) continue;
      assert.deepEqual([event.action, event.subsystem, event.devName], ["change", "mem", "null"]);
      assert.equal(event.fields.get("MAJOR"), "1");
      return;
    }
  },
);

const CPU = "/sys/devices/system/cpu/cpu0";

Deno.test(
  { name: "DeviceWaiter looks again when the kernel tells of a device", ignore: leftOutUnlessRoot(import.meta) },
  async () => {
    const looks: number[] = [];
    let isThere = false;
    const look = () => {
      looks.push(performance.now());
      return isThere ? "cpu0" : undefined;
    };
    const wait = { signal: new AbortController().signal, timeoutMs: 60_000 };
    const devices = new DeviceWaiter();
    const found = devices.until({ kind: "cpu", total: 1 }, look, wait);
    isThere = true;
    Deno.writeTextFileSync(`${CPU}/uevent`, "add");
    assert.equal(await found, "cpu0");
    assert.equal(looks.length, 3, "a look, one when it listens, one with the event");
  },
);
