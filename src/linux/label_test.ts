import assert from "node:assert/strict";
import {
  getXattr,
  isApparmorEnabled,
  isSelinuxEnabled,
  labelWrites,
  listXattrs,
  removeXattr,
  setXattr,
} from "./label.ts";

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

Deno.test("setXattr(), listXattrs(), getXattr() and removeXattr() agree", () => {
  const path = Deno.makeTempFileSync({ prefix: "label_test-" });
  using _ = { [Symbol.dispose]: () => Deno.removeSync(path) };
  assert.equal(getXattr(path, "user.kata"), undefined);
  setXattr(path, "user.kata", Uint8Array.of(1, 0, 2));
  assert.deepEqual(listXattrs(path), ["user.kata"]);
  assert.deepEqual(getXattr(path, "user.kata"), Uint8Array.of(1, 0, 2));
  removeXattr(path, "user.kata");
  removeXattr(path, "user.kata");
  assert.deepEqual(listXattrs(path), []);
  assert.throws(() => getXattr("/no/such", "user.kata"), { message: "lgetxattr /no/such user.kata: ENOENT" });
});
