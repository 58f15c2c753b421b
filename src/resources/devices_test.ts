import assert from "node:assert/strict";
import { createLogger } from "../base/log.ts";
import type { Device, Resources } from "../oci/spec/spec.ts";
import { checkDevices } from "./devices.ts";

const DISK: Device = { path: "/dev/sdb", type: "b", major: 8, minor: 16 };
const SERIAL: Device = { path: "/dev/ttyUSB0", type: "c", major: 188, minor: 0 };
const TUN: Device = { path: "/dev/net/tun", type: "c", major: 10, minor: 200 };

/** @returns What is logged. */
function check(devices: Device[], resources: Resources = {}): string[] {
  const lines: string[] = [];
  const log = createLogger({ sink: (line) => lines.push(JSON.parse(line).msg) });
  checkDevices({ devices, resources }, { containerId: "c1", log });
  return lines;
}

Deno.test("checkDevices() refuses a disk of the host that a container asks for, by its name", () => {
  assert.throws(() => check([TUN, DISK]), {
    code: "UNIMPLEMENTED",
    message: 'Cannot give device "/dev/sdb" (b 8:16) to container "c1": ' +
      "disks of the host cannot be passed to a virtual machine yet",
  });
});

Deno.test("checkDevices() warns of hardware that the guest does not have, not of what each kernel has", () => {
  const warning =
    'Container "c1" cannot open device "/dev/ttyUSB0" (c 188:0): the host\'s hardware is not in the guest';
  assert.deepEqual(check([TUN, SERIAL]), [warning]);
  assert.deepEqual(check([TUN]), []);
});

Deno.test("checkDevices() says nothing of a privileged container's devices: it did not ask for them", () => {
  const resources = { devices: [{ allow: false, access: "rwm" }, { allow: true, access: "rwm" }] };
  assert.deepEqual(check([DISK, SERIAL, TUN], resources), []);
});
