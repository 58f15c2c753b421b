import assert from "node:assert/strict";
import { errorCode } from "../../base/error.ts";
import { cleanPath, guardPath, hookPath } from "./guest_path.ts";

const KATA = "/run/kata-containers";
const CACHE = `${KATA}/sandbox/ephemeral/cache`;
const STORAGES = { volumes: [`${CACHE}/a`, CACHE, "/mnt/v"], others: ["/mnt/layers"] };

Deno.test.each([
  { path: `${CACHE}/a/b`, guarded: { base: CACHE, links: "none", part: "a/b" } },
  { path: `${CACHE}/./a//b/`, guarded: { base: CACHE, links: "none", part: "a/b" } },
  { path: CACHE, guarded: { base: CACHE, links: "none" } },
  { path: `${CACHE}2/a`, guarded: { base: `${CACHE}2/a`, links: "none" } },
  { path: `${KATA}/shared/containers/passthrough/v`, guarded: { links: "none" } },
  { path: "/mnt/v/a", guarded: { base: "/mnt/v", links: "plain", part: "a" } },
  { path: "/mnt/layers/a", guarded: { base: "/mnt/layers/a", links: "none" } },
  { path: "/etc/hosts", guarded: { base: "/etc/hosts", links: "plain" } },
  { path: "/", guarded: { base: "/", links: "plain" } },
])("guardPath() knows who may write $path", ({ path, guarded }) => {
  assert.deepEqual(guardPath(path, STORAGES), { base: cleanPath(path), ...guarded });
});

Deno.test.each(["", "a/b", "/a/../b", "/a/..", "/a\0b"])("cleanPath() refuses %j", (path) => {
  assert.throws(() => cleanPath(path), (error) => errorCode(error) === "INVALID_ARGUMENT");
});

Deno.test("F2: hookPath() takes directories of the guest's image, and none that containers can write", () => {
  assert.deepEqual(["", "/usr/share/oci/hooks/", "/run/hooks"].map(hookPath), [
    "",
    "/usr/share/oci/hooks",
    "/run/hooks",
  ]);
  const below = ["", "/", "/shared/containers/c1/rootfs", "/sandbox"].map((rest) => `/run/kata-containers${rest}`);
  for (const path of [...below, ...below.map((path) => `/run/user/1000${path}`), "/proc/self/root", "/proc"]) {
    assert.throws(() => hookPath(path), { code: "PERMISSION_DENIED" }, path);
  }
});
