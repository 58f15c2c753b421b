/** Events of devices, as the real kernel sends them. Needs root. */
import assert from "node:assert/strict";
import { UeventSocket } from "../../src/linux/device/uevent.ts";

const DEVICE = "/sys/devices/virtual/mem/null";

Deno.test({ name: "UeventSocket hears of a device from the moment it is made", ignore: Deno.uid() !== 0 }, async () => {
  using socket = new UeventSocket();
  // Writing an action asks the kernel to send the event once more.
  Deno.writeTextFileSync(`${DEVICE}/uevent`, "change");
  for await (const event of socket.events({ signal: AbortSignal.timeout(5000) })) {
    if (event.devPath !== DEVICE.slice("/sys".length)) continue;
    assert.deepEqual([event.action, event.subsystem, event.devName], ["change", "mem", "null"]);
    assert.equal(event.fields.get("MAJOR"), "1");
    return;
  }
});
