import assert from "node:assert/strict";
import type { Spec } from "../../oci/spec/spec.ts";
import { withGuestNumbers } from "./devices.ts";

function rule(major: number, minor: number, type: "b" | "c" = "b") {
  return { allow: true, type, major, minor, access: "r" };
}

Deno.test("withGuestNumbers() gives devices and their rules the guest's numbers, all at once, and changes nothing else", () => {
  const spec: Spec = {
    ociVersion: "1.2.0",
    linux: {
      devices: [
        { path: "/dev/a", type: "b", major: 8, minor: 0, fileMode: 0o640 },
        { path: "/dev/b", type: "b", major: 8, minor: 16 },
        { path: "/dev/c", type: "c", major: 8, minor: 0 },
      ],
      resources: { pids: { limit: 1 }, devices: [{ allow: false }, rule(8, 0), rule(8, 16), rule(8, 0, "c")] },
    },
  };
  // The one has the number in the guest that the other has on the host.
  const numbers = new Map([["/dev/a", { major: 8, minor: 16 }], ["/dev/b", { major: 252, minor: 3 }]]);
  assert.deepEqual(withGuestNumbers(spec, numbers).linux, {
    devices: [
      { path: "/dev/a", type: "b", major: 8, minor: 16, fileMode: 0o640 },
      { path: "/dev/b", type: "b", major: 252, minor: 3 },
      { path: "/dev/c", type: "c", major: 8, minor: 0 },
    ],
    resources: { pids: { limit: 1 }, devices: [{ allow: false }, rule(8, 16), rule(252, 3), rule(8, 0, "c")] },
  });
  assert.equal(withGuestNumbers(spec, new Map()), spec);
});

Deno.test("withGuestNumbers() refuses a device that the specification does not have", () => {
  const numbers = new Map([["/dev/x", { major: 8, minor: 0 }]]);
  assert.throws(() => withGuestNumbers({ ociVersion: "1.2.0" }, numbers), {
    code: "INVALID_ARGUMENT",
    message: 'Cannot give a container device "/dev/x": its specification has none',
  });
});

Deno.test("withGuestNumbers() refuses two devices at one path, of which one would keep the host's number", () => {
  const device = { path: "/dev/data", type: "b", major: 8, minor: 16 } as const;
  const spec: Spec = { ociVersion: "1.2.0", linux: { devices: [device, { ...device, minor: 32 }] } };
  assert.throws(() => withGuestNumbers(spec, new Map([["/dev/data", { major: 254, minor: 0 }]])), {
    code: "INVALID_ARGUMENT",
    message: /has two/,
  });
});
