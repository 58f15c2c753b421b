import assert from "node:assert/strict";
import type { DeviceRule } from "../../oci/spec/spec.ts";
import { mayWrite } from "./disk_device.ts";

const DISK = { path: "/dev/data", type: "b", major: 8, minor: 16 } as const;
const NONE: DeviceRule = { allow: false, access: "rwm" };
const ALL: DeviceRule = { allow: true, type: "b", major: 8, minor: 16, access: "rwm" };

Deno.test.each<{ rules: string; list: readonly DeviceRule[]; may: boolean }>([
  { rules: "no rules", list: [], may: false },
  { rules: "one that allows it", list: [NONE, ALL], may: true },
  { rules: "one for every device, by -1", list: [NONE, { allow: true, type: "a", major: -1, minor: -1 }], may: true },
  { rules: "one for reading alone", list: [NONE, { ...ALL, access: "r" }], may: false },
  { rules: "one for another disk", list: [NONE, { ...ALL, minor: 17 }], may: false },
  {
    rules: "one for any disk of its kind",
    list: [NONE, { allow: true, type: "b", major: 8, access: "rw" }],
    may: true,
  },
  { rules: "a later one that takes it back", list: [ALL, { ...ALL, allow: false, access: "w" }], may: false },
  { rules: "a later one about reading", list: [ALL, { ...ALL, allow: false, access: "r" }], may: true },
])("mayWrite() follows the last word: by $rules", ({ list, may }) => assert.equal(mayWrite(DISK, list), may));
