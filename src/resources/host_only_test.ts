import assert from "node:assert/strict";
import { defaultConfig } from "../config/schema.ts";
import type { Linux, Namespace } from "../oci/spec/spec.ts";
import { type HostOnlyOptions, refuseHostOnly } from "./host_only.ts";

const OWN: readonly Namespace[] = [{ type: "ipc" }, { type: "pid" }, { type: "uts" }, { type: "mount" }];

function refuse(linux: Linux, options: Partial<HostOnlyOptions> = {}): void {
  refuseHostOnly({ ociVersion: "1.2.0", linux }, {
    id: "one",
    type: "single_container",
    config: defaultConfig(),
    ...options,
  });
}

Deno.test("refuseHostOnly() takes a container with namespaces of its own, and one with those of its pod", () => {
  refuse({ namespaces: [...OWN] });
  const ofPod = OWN.map(({ type }) => ({ type, path: `/proc/7/ns/${type}` }));
  refuse({ namespaces: ofPod }, { type: "pod_container" });
});

Deno.test.each([
  { what: "host IPC", type: "ipc" },
  { what: "host PID", type: "pid" },
  { what: "host UTS", type: "uts" },
])("refuseHostOnly() refuses $what by name, of a pod as well", ({ what, type }) => {
  const namespaces = OWN.filter((one) => one.type !== type);
  for (const kind of ["single_container", "pod_sandbox", "pod_container"] as const) {
    const expected = { code: "UNIMPLEMENTED", message: new RegExp(`"one": it asks for the host's .*\\(${what}\\)`) };
    assert.throws(() => refuse({ namespaces }, { type: kind }), expected);
  }
});

Deno.test("refuseHostOnly() refuses the namespace of a process of the host (docker run --ipc container:X)", () => {
  const namespaces = OWN.map((one) => one.type === "ipc" ? { ...one, path: "/proc/7/ns/ipc" } : one);
  assert.throws(() => refuse({ namespaces }), { code: "UNIMPLEMENTED", message: /"\/proc\/7\/ns\/ipc"/ });
});

Deno.test("refuseHostOnly() refuses a filter of system calls that asks somebody on the host, if filters hold", () => {
  const linux = { namespaces: [...OWN], seccomp: { defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/run/listener" } };
  assert.throws(() => refuse(linux), { code: "UNIMPLEMENTED", message: /listener at "\/run\/listener"/ });
  const config = defaultConfig();
  config.runtime.disable_guest_seccomp = true;
  refuse(linux, { config });
});

Deno.test("refuseHostOnly() refuses clocks of a container's own: the guest is the sandbox's clock", () => {
  const timeOffsets = { monotonic: { secs: 1, nanosecs: 0 } };
  assert.throws(() => refuse({ namespaces: [...OWN, { type: "time" }], timeOffsets }), /clocks of its own/);
});
