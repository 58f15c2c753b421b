import assert from "node:assert/strict";
import { socketPath } from "../../../systemd/dbus_client.ts";
import { expandSlice, planScope } from "./scope.ts";

Deno.test.each([
  { path: undefined, unit: "runk-id.scope", cgroupPath: "system.slice/runk-id.scope" },
  { path: "machine.slice:libpod:abc", unit: "libpod-abc.scope", cgroupPath: "machine.slice/libpod-abc.scope" },
  { path: ":cri:abc", unit: "cri-abc.scope", cgroupPath: "system.slice/cri-abc.scope" },
  { path: "a-b.slice::abc", unit: "abc.scope", cgroupPath: "a.slice/a-b.slice/abc.scope" },
  { path: "-.slice:p:abc", unit: "p-abc.scope", cgroupPath: "p-abc.scope" },
  { path: "x.slice:p:x-y.slice", unit: "x-y.slice", cgroupPath: "x.slice/x.slice/x-y.slice" },
])("planScope($path) is $unit in $cgroupPath", ({ path, unit, cgroupPath }) => {
  const scope = planScope(path, { id: "id", ofUser: false });
  assert.deepEqual([scope.unit, scope.cgroupPath], [unit, cgroupPath]);
});

Deno.test("planScope() of a user's systemd lies below that", () => {
  const scope = planScope(undefined, {
    id: "id",
    ofUser: true,
    managerPath: "/user.slice/user-5.slice/user@5.service",
  });
  assert.equal(scope.cgroupPath, "user.slice/user-5.slice/user@5.service/user.slice/runk-id.scope");
});

Deno.test.each([{ path: "/a/b" }, { path: "a.slice:b" }, { path: "a.slice:b:c:d" }, { path: "a.slice:b:../c" }])(
  "planScope($path) is refused",
  ({ path }) => assert.throws(() => planScope(path, { id: "id", ofUser: false }), /slice:prefix:name/),
);

Deno.test.each([{ slice: "a/b.slice" }, { slice: "a" }, { slice: "a--b.slice" }, { slice: "-a.slice" }, {
  slice: ".slice",
}])(
  "expandSlice($slice) is refused",
  ({ slice }) => assert.throws(() => expandSlice(slice), /as a slice/),
);

Deno.test("socketPath() takes the first address with a path, and decodes it", () => {
  assert.equal(socketPath("unix:abstract=x;unix:guid=1,path=/run/a%20b,x=y"), "/run/a b");
  assert.throws(() => socketPath("unix:abstract=x"), /no unix:path=/);
});
