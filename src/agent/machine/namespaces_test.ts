import assert from "node:assert/strict";
import type { Namespace } from "../../oci/spec/spec.ts";
import { guestNamespaces } from "./namespaces.ts";

const shared = { ipc: "/ns/ipc", uts: "/ns/uts" };

function apply(namespaces: Namespace[], choice: Parameters<typeof guestNamespaces>[1]): Namespace[] {
  return guestNamespaces({ ociVersion: "1.2.0", linux: { namespaces } }, choice);
}

Deno.test("guestNamespaces() joins the sandbox' IPC and UTS, and drops what the host alone has", () => {
  const given: Namespace[] = [
    { type: "ipc", path: "/proc/1/ns/ipc" },
    { type: "uts" },
    { type: "network", path: "/run/netns/a" },
    { type: "mount" },
    { type: "time" },
  ];
  assert.deepEqual(apply(given, { shared, pid: undefined }), [
    { type: "ipc", path: "/ns/ipc" },
    { type: "uts", path: "/ns/uts" },
    { type: "mount" },
    { type: "pid" },
  ]);
});

Deno.test("guestNamespaces() joins a PID namespace only when told", () => {
  assert.deepEqual(apply([{ type: "pid", path: "/proc/9/ns/pid" }], { shared, pid: undefined }), [{ type: "pid" }]);
  assert.deepEqual(apply([], { shared, pid: "/proc/7/ns/pid" }), [{ type: "pid", path: "/proc/7/ns/pid" }]);
});
