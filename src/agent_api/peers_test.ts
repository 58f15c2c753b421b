import assert from "node:assert/strict";
import type { Spec } from "../oci/spec/spec.ts";
import { specFromProto, specToProto } from "./spec_codec.ts";
import { specOfRust } from "./testing/rust_spec.ts";

const SPEC: Spec = { ociVersion: "1.2.0" };

Deno.test("wire W1: specFromProto() takes both spellings of each type of namespace", () => {
  const types = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"] as const;
  const linux = { namespaces: types.map((type) => ({ type })) };
  for (const wire of [specToProto({ ...SPEC, linux }), specOfRust({ ...SPEC, linux })]) {
    assert.deepEqual(specFromProto(wire).linux, linux);
  }
  assert.deepEqual(specOfRust({ ...SPEC, linux }).Linux?.Namespaces.slice(1, 3).map(({ Type }) => Type), [
    "net",
    "mnt",
  ]);
});

Deno.test("wire W1: specFromProto() takes a rule for any device whose numbers were written as zeros, and a zero beside a number", () => {
  const devices = [
    { allow: false, access: "rwm" },
    { allow: true, type: "c", access: "m" } as const,
    { allow: true, type: "c", major: 5, minor: 0, access: "rwm" } as const,
  ];
  const linux = { resources: { devices } };
  assert.deepEqual(specFromProto(specOfRust({ ...SPEC, linux })).linux, linux);
});

Deno.test("wire W1: specFromProto() takes an error of 0 for none from a client that has no word for that, and for 0 from ours", () => {
  const rules = [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }, {
    names: ["chown"],
    action: "SCMP_ACT_ERRNO",
    errnoRet: 0,
  }];
  const linux = { seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls: rules } };
  assert.deepEqual(specFromProto(specToProto({ ...SPEC, linux })).linux, linux);
  const fromRust = specFromProto(specOfRust({ ...SPEC, linux })).linux?.seccomp?.syscalls;
  assert.deepEqual(fromRust?.map(({ errnoRet }) => errnoRet), [undefined, undefined]);
});

Deno.test.each([{ json: true }, { json: false }])(
  "wire W1: specFromProto() takes a capability's name, JSON: $json",
  ({ json }) => {
    const process = { cwd: "/", user: { uid: 0, gid: 0 }, capabilities: { bounding: ["CAP_MKNOD"] } };
    const { capabilities } = specFromProto(specOfRust({ ...SPEC, process }, { json })).process!;
    assert.deepEqual(capabilities, { bounding: [json ? "CAP_MKNOD" : "MKNOD"] });
  },
);

Deno.test("wire W15: specToProto() tells a node without rights from one without a mode", () => {
  const node = { path: "/dev/x", type: "c", major: 10, minor: 200 } as const;
  const linux = { devices: [{ ...node, fileMode: 0 }, node, { ...node, fileMode: 0o640 }] };
  assert.deepEqual(specFromProto(specToProto({ ...SPEC, linux })).linux, linux);
});
