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

const CRI = { "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "mine" };
const CRIO = { "io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "victim" };

Deno.test.each<{ forged: Record<string, string>; says: string }>([
  { forged: CRIO, says: '"io.kubernetes.cri-o.SandboxID" and "io.kubernetes.cri.sandbox-id"' },
  {
    forged: { "io.kubernetes.cri-o.ContainerType": "sandbox" },
    says: '"io.kubernetes.cri-o.ContainerType" and "io.kubernetes.cri.container-type"',
  },
  {
    forged: { "io.kubernetes.docker.type": "podsandbox" },
    says: '"io.kubernetes.cri.container-type" and "io.kubernetes.docker.type"',
  },
  {
    forged: { "io.kubernetes.docker.type": "container", "io.kubernetes.sandbox.id": "victim" },
    says: '"io.kubernetes.cri.sandbox-id" and "io.kubernetes.sandbox.id"',
  },
  {
    forged: { ...CRIO, "io.kubernetes.cri-o.SandboxID": "mine", "io.kubernetes.cri-o.Namespace": "kube-system" },
    says: '"io.kubernetes.cri-o.Namespace" and "io.kubernetes.cri.sandbox-namespace"',
  },
])("F5: identify() refuses another engine's annotations that contradict: $says", ({ forged, says }) => {
  const annotations = { ...CRI, "io.kubernetes.cri.sandbox-namespace": "default", ...forged };
  assert.throws(() => identify(annotations, "c1"), {
    code: "INVALID_ARGUMENT",
    message: `Cannot find the pod of container "c1": annotations ${says} contradict each other`,
  });
});

Deno.test("F5: identify() takes another engine's annotations that say the same", () => {
  const annotations = { ...CRI, ...CRIO, "io.kubernetes.cri-o.SandboxID": "mine" };
  assert.deepEqual(identify(annotations, "c1"), { type: "pod_container", sandboxId: "mine" });
});

Deno.test.each([
  { id: "../../VICTIM/precious" },
  { id: "/VICTIM" },
  { id: ".." },
  { id: "a/b" },
  { id: "a\0b" },
  { id: "a\n" },
  { id: "x".repeat(257) },
])("F5: identify() refuses $id as the id of a sandbox", ({ id }) => {
  for (const [type, key] of [Object.keys(CRI), Object.keys(CRIO)]) {
    assert.throws(() => identify({ [type!]: "container", [key!]: id }, "c1"), {
      code: "INVALID_ARGUMENT",
      message: /^Cannot use sandbox id /,
    });
  }
});

Deno.test("identify() refuses a kind that it does not know", () => {
  assert.throws(() => identify({ "io.kubernetes.cri.container-type": "Sandbox" }, "c1"), {
    code: "INVALID_ARGUMENT",
    message: 'Cannot find the pod of container "c1": annotation "io.kubernetes.cri.container-type" is "Sandbox", ' +
      'not "sandbox" or "container"',
  });
});

Deno.test("F12: identify() quotes a kind that a pod wrote as one short line", () => {
  const annotations = { "io.kubernetes.cri.container-type": `\x1b]0;owned\x07\n${"x".repeat(4096)}` };
  assert.throws(() => identify(annotations, "c1"), { message: /^\P{Cc}{1,500}$/u });
});
