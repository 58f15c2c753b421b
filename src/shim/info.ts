/** Answer of `-info`. @module */
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { VERSION } from "../base/version.ts";
import { type EngineFeatures, engineFeatures } from "../oci/spec/features.ts";
import { RuntimeInfoSchema } from "../proto/containerd_types_pb.ts";

/** The name under which containerd knows the features document, which is JSON within the protobuf. */
const FEATURES_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/** Mounts of a machine never appear on the host. */
const NOT_IN_A_MACHINE: readonly string[] = ["shared", "rshared"];

/**
 * The protobuf that containerd 2 reads (B52). It names no mount types that containerd's mount manager must leave to the
 * shim: we take none but those that any containerd hands over. By the features a kubelet knows whether pods may have user
 * namespaces and mounts that are read-only all through.
 */
export function runtimeInfo(): Uint8Array {
  const info = create(RuntimeInfoSchema, {
    name: "io.containerd.kata.v2",
    version: { version: VERSION, revision: "" },
    features: create(AnySchema, {
      typeUrl: FEATURES_TYPE,
      value: new TextEncoder().encode(JSON.stringify(machineFeatures())),
    }),
  });
  return toBinary(RuntimeInfoSchema, info);
}

/** Features of the guest's engine, without what only a container of the host itself can have. */
function machineFeatures(): EngineFeatures {
  // A policy of memory is about the host's nodes.
  const { linux: { memoryPolicy: _policy, ...linux }, mountOptions, ...rest } = engineFeatures();
  return {
    ...rest,
    mountOptions: mountOptions.filter((option) => !NOT_IN_A_MACHINE.includes(option)),
    linux: {
      ...linux,
      namespaces: linux.namespaces.filter((type) => type !== "time"),
      cgroup: { ...linux.cgroup, systemdUser: false, rdma: false },
      seccomp: { ...linux.seccomp, actions: linux.seccomp.actions.filter((action) => action !== "SCMP_ACT_NOTIFY") },
      // The labels name policies of the host, which the guest's kernel has not loaded.
      apparmor: { enabled: false },
      selinux: { enabled: false },
    },
  };
}
