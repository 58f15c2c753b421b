import assert from "node:assert/strict";
import { createLogger } from "../../base/log.ts";
import type { Device, DeviceRule, Linux, Resources } from "../../oci/spec/spec.ts";
import { checkDevices, disksOf, toGuestDevices, toGuestRules } from "./spec_devices.ts";

const DISK: Device = { path: "/dev/sdb", type: "b", major: 8, minor: 16 };
const SERIAL: Device = { path: "/dev/ttyUSB0", type: "c", major: 188, minor: 0 };
const DISK_RULE: DeviceRule = { allow: true, type: "b", major: 8, minor: 16 };
const TUN: Device = { path: "/dev/net/tun", type: "c", major: 10, minor: 200 };

/** @returns What is logged. */
function check(devices: Device[], resources: Resources = {}): string[] {
  const lines: string[] = [];
  const log = createLogger({ sink: (line) => lines.push(JSON.parse(line).msg) });
  checkDevices({ devices, resources }, { containerId: "c1", log });
  return lines;
}

const ALL = { devices: [{ allow: false, access: "rwm" }, { allow: true, access: "rwm" }] };

Deno.test("disksOf() gives the disks that a container asks for, and none to a privileged one, which asks for none", () => {
  assert.deepEqual(disksOf({ devices: [TUN, DISK, SERIAL] }), [DISK]);
  assert.deepEqual(disksOf({ devices: [DISK], resources: ALL }), []);
  assert.deepEqual(disksOf(undefined), []);
});

Deno.test("toGuestRules() keeps a rule for the number of a disk that the container has, for others of the host none", () => {
  const rule = (minor: number) => ({ allow: true, type: "b" as const, major: 8, minor, access: "r" });
  const resources = { devices: [rule(16), rule(32), { ...rule(16), type: "c" as const }] };
  assert.deepEqual(toGuestRules({ devices: [DISK], resources }), [{ allow: false, access: "rwm" }, rule(16)]);
  assert.deepEqual(toGuestRules({ resources }), [{ allow: false, access: "rwm" }]);
});

const EVERY: DeviceRule = { allow: true, access: "rwm" };
const NONE: DeviceRule = { allow: false, access: "rwm" };
const NULL: DeviceRule = { allow: false, type: "c", major: 1, minor: 3, access: "w" };

Deno.test.each<{ what: string; rules: DeviceRule[]; guest: DeviceRule[] }>([
  { what: "every device", rules: [EVERY], guest: [EVERY] },
  {
    what: "every device, by -1",
    rules: [{ allow: true, type: "a", major: -1, minor: -1, access: "mrw" }],
    guest: [EVERY],
  },
  { what: "every device, in no words", rules: [{ allow: true, access: "" }], guest: [EVERY] },
  { what: "every device but one", rules: [EVERY, NULL], guest: [EVERY, NULL] },
  { what: "every device, taken back", rules: [EVERY, NONE], guest: [NONE] },
  { what: "one device, taken back", rules: [{ ...NULL, allow: true }, NONE], guest: [NONE] },
  { what: "both kinds of one number", rules: [{ ...NULL, type: "a" }], guest: [NONE, NULL] },
  { what: "a disk among both kinds", rules: [{ allow: true, major: 8, minor: 16 }], guest: [NONE, DISK_RULE] },
  { what: "to read every device", rules: [{ allow: true, access: "r" }], guest: [NONE] },
])("toGuestRules() of $what says what the engine would do", ({ rules, guest }) => {
  assert.deepEqual(toGuestRules({ devices: [DISK], resources: { devices: rules } }), guest);
});

Deno.test("checkDevices() warns of hardware that the guest does not have, not of what each kernel has", () => {
  const warning =
    'Container "c1" cannot open device "/dev/ttyUSB0" (c 188:0): the host\'s hardware is not in the guest';
  assert.deepEqual(check([TUN, SERIAL, DISK]), [warning]);
  assert.deepEqual(check([TUN]), []);
});

Deno.test("checkDevices() says nothing of a privileged container's devices: it did not ask for them", () => {
  assert.deepEqual(check([DISK, SERIAL, TUN], ALL), []);
});

Deno.test("wire W15: toGuestDevices() leaves out the nodes that each container has, unless they are to be others", () => {
  const nodes: Device[] = [
    { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o666, uid: 0, gid: 0 },
    { path: "/dev/urandom", type: "u", major: 1, minor: 9 },
    { path: "/dev/tty", type: "c", major: 5, minor: 0, fileMode: 0o20666 },
  ];
  const others: Device[] = [
    { path: "/dev/zero", type: "c", major: 1, minor: 5, fileMode: 0o600 },
    { path: "/dev/full", type: "c", major: 1, minor: 7, fileMode: 0o666, gid: 5 },
    { path: "/dev/random", type: "c", major: 1, minor: 9, fileMode: 0o666 },
    { path: "/dev/null2", type: "c", major: 1, minor: 3, fileMode: 0o666 },
  ];
  for (const resources of [{}, ALL]) {
    assert.deepEqual(toGuestDevices({ devices: [...nodes, ...others], resources }), others);
  }
});

Deno.test("wire W15: toGuestDevices() says the usual mode of a node that has none, which Kata's agent looks for in the guest", () => {
  assert.deepEqual(toGuestDevices({ devices: [TUN, { ...SERIAL, fileMode: 0 }] }).map(({ fileMode }) => fileMode), [
    0o666,
    0,
  ]);
});

Deno.test("pods B13: toGuestDevices() gives a privileged container what the guest's kernel offers, in place of the host's hardware", () => {
  const paths = (devices: Device[]) => toGuestDevices({ devices, resources: ALL }).map(({ path }) => path);
  const loops = Array.from({ length: 8 }, (_, number) => `/dev/loop${number}`);
  const hostLoop: Device = { path: "/dev/loop0", type: "b", major: 7, minor: 0 };
  assert.deepEqual(paths([DISK, TUN, hostLoop]), [
    "/dev/net/tun",
    "/dev/fuse",
    "/dev/mapper/control",
    "/dev/loop-control",
    ...loops,
  ]);
  assert.deepEqual(paths([TUN]), ["/dev/net/tun"], "an engine that lists no hardware");
  assert.deepEqual(toGuestDevices({ devices: [TUN, DISK] }).length, 2);
});

Deno.test("pods A17: toGuestDevices() gives a privileged container with mapped ids no device that is for root of the guest alone", () => {
  const mapped: Linux = {
    devices: [DISK, TUN],
    resources: ALL,
    namespaces: [{ type: "user" }],
    uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
  };
  assert.deepEqual(toGuestDevices(mapped).map(({ path }) => path), ["/dev/net/tun", "/dev/fuse"]);
  const lines: string[] = [];
  const log = createLogger({ sink: (line) => lines.push(JSON.parse(line).msg) });
  checkDevices(mapped, { containerId: "c1", log });
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^Container "c1" has no \/dev\/mapper\/control, \/dev\/loop-control, \/dev\/loop0, .*root/);
  checkDevices({ ...mapped, devices: [TUN] }, { containerId: "c1", log });
  assert.equal(lines.length, 1, "an engine that lists no hardware");
});
