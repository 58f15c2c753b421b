import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { RuntimeInfoSchema } from "../proto/containerd_types_pb.ts";
import { runtimeInfo } from "./info.ts";

Deno.test("kubernetes K11: runtimeInfo() tells what a kubelet asks about, and nothing that a machine has not", () => {
  const { features } = fromBinary(RuntimeInfoSchema, runtimeInfo());
  assert.equal(features?.typeUrl, "types.containerd.io/opencontainers/runtime-spec/1/features/Features");
  const { mountOptions, linux } = JSON.parse(new TextDecoder().decode(features.value));
  for (const option of ["ro", "rro", "idmap", "rslave"]) assert.ok(mountOptions.includes(option), option);
  for (const option of ["shared", "rshared"]) assert.ok(!mountOptions.includes(option), option);
  assert.ok(linux.namespaces.includes("user") && !linux.namespaces.includes("time"));
  assert.ok(linux.mountExtensions.idmap.enabled && linux.seccomp.enabled);
  assert.ok(!linux.seccomp.actions.includes("SCMP_ACT_NOTIFY"));
  assert.ok(!linux.apparmor.enabled && !linux.selinux.enabled);
});
