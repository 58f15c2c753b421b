import assert from "node:assert/strict";
import type { Namespace } from "../../oci/spec/spec.ts";
import { type Neighbor, pidNamespaceOf, type PidNamespaceOptions } from "./pid_namespace.ts";

const OF_VMM: Namespace = { type: "pid", path: "/proc/77/ns/pid" };

function choose(namespace: Namespace | undefined, options: Partial<PidNamespaceOptions>) {
  const namespaces = namespace === undefined ? [] : [namespace];
  return pidNamespaceOf({ ociVersion: "1.2.0", linux: { namespaces } }, {
    id: "c9",
    type: "pod_container",
    others: [],
    ...options,
  });
}

function neighbor(id: string, kind: "own" | "pod", status: Neighbor["status"] = "running"): Neighbor {
  return { id, pidNamespace: { kind }, status };
}

Deno.test("pods A14: pidNamespaceOf() of a container without a path is its own, whatever the others have", () => {
  const others = [neighbor("c1", "own"), neighbor("c2", "own")];
  assert.deepEqual(choose({ type: "pid" }, { others }), { kind: "own" });
  assert.deepEqual(choose(undefined, { others }), { kind: "own" });
  assert.deepEqual(choose({ type: "pid" }, { type: "single_container" }), { kind: "own" });
});

Deno.test("pods A14: pidNamespaceOf() takes a path for the pod's namespace where no container has one of its own", () => {
  assert.deepEqual(choose(OF_VMM, {}), { kind: "pod" });
  assert.deepEqual(choose(OF_VMM, { others: [neighbor("c1", "pod"), neighbor("c2", "pod")] }), { kind: "pod" });
});

Deno.test("pods A14: pidNamespaceOf() takes a path for the namespace of the one container that has its own and runs", () => {
  const debug: Neighbor = { id: "d1", pidNamespace: { kind: "container", id: "c2" }, status: "running" };
  const others = [neighbor("c1", "own", "stopped"), neighbor("c2", "own"), debug];
  assert.deepEqual(choose(OF_VMM, { others }), { kind: "container", id: "c2" });
});

Deno.test.each<{ why: RegExp; code: string; options: Partial<PidNamespaceOptions> }>([
  {
    why: /may be that of "c1", "c2"/,
    code: "FAILED_PRECONDITION",
    options: { others: [neighbor("c1", "own"), neighbor("c2", "own")] },
  },
  {
    why: /no container with one of its own runs/,
    code: "FAILED_PRECONDITION",
    options: { others: [neighbor("c1", "own", "stopped")] },
  },
  { why: /is the host's/, code: "UNIMPLEMENTED", options: { type: "single_container" } },
])("pods A14: pidNamespaceOf() refuses what it cannot tell, by name: $why", ({ why, code, options }) => {
  assert.throws(() => choose(OF_VMM, options), (error: Error & { code: string }) => {
    assert.equal(error.code, code);
    assert.match(error.message, /^Cannot join container "c9" to the process namespace at "\/proc\/77\/ns\/pid": /);
    assert.match(error.message, why);
    return true;
  });
});
