import assert from "node:assert/strict";
import { identify } from "./annotations.ts";

Deno.test.each([
  { engine: "none", annotations: {}, expected: { type: "single_container", sandboxId: "c1" } },
  {
    engine: "containerd, sandbox",
    annotations: { "io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-name": "web" },
    expected: { type: "pod_sandbox", sandboxId: "c1", sandboxName: "web" },
  },
  {
    engine: "containerd, container",
    annotations: { "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "s1" },
    expected: { type: "pod_container", sandboxId: "s1" },
  },
  {
    engine: "CRI-O",
    annotations: { "io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "s2" },
    expected: { type: "pod_container", sandboxId: "s2" },
  },
  {
    engine: "dockershim",
    annotations: { "io.kubernetes.docker.type": "podsandbox" },
    expected: { type: "pod_sandbox", sandboxId: "c1" },
  },
])("identify() reads the annotations of $engine", ({ annotations, expected }) => {
  assert.deepEqual(identify(annotations, "c1"), expected);
});

Deno.test("identify() refuses a container whose pod is not named", () => {
  const annotations = { "io.kubernetes.cri.container-type": "container" };
  assert.throws(() => identify(annotations, "c1"), /"io.kubernetes.cri.sandbox-id" is missing/);
});
