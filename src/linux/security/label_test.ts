import assert from "node:assert/strict";
import { isApparmorEnabled, isSelinuxEnabled, labelWrites } from "./label.ts";

Deno.test("labelWrites() writes each module's own file, and none without a label", () => {
  assert.deepEqual(labelWrites({}), []);
  assert.deepEqual(labelWrites({ selinux: "u:r:t:s0", apparmor: "cri-default" }, "/p"), [
    { path: "/p/thread-self/attr/exec", data: "u:r:t:s0" },
    { path: "/p/thread-self/attr/apparmor/exec", data: "exec cri-default" },
  ]);
});

Deno.test("security modules are off where sysfs does not show them", () => {
  assert.ok(!isSelinuxEnabled({ sys: "/no/sys" }));
  assert.ok(!isApparmorEnabled({ sys: "/no/sys" }));
});
