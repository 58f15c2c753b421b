/** The specification's features document: what the engine can do. Pure. @module */
import { MEMORY_POLICY_WORDS } from "../init/memory_policy.ts";
import { knownCapabilities } from "../security/capabilities.ts";
import { HOOK_KINDS } from "./spec.ts";
import { knownMountOptions } from "../../linux/mount/mount_options.ts";
import { SECCOMP_WORDS } from "../../linux/security/seccomp_profile.ts";

interface Enabled {
  enabled: boolean;
}

/** The document, as far as there is something to say. */
export interface EngineFeatures {
  ociVersionMin: string;
  ociVersionMax: string;
  hooks: readonly string[];
  mountOptions: readonly string[];
  linux: {
    namespaces: readonly string[];
    capabilities: readonly string[];
    cgroup: Readonly<Record<"v1" | "v2" | "systemd" | "systemdUser" | "rdma", boolean>>;
    seccomp: Enabled & Readonly<Record<"actions" | "operators" | "archs" | "knownFlags", readonly string[]>>;
    apparmor: Enabled;
    selinux: Enabled;
    intelRdt: Enabled;
    netDevices: Enabled;
    memoryPolicy?: typeof MEMORY_POLICY_WORDS;
    mountExtensions: { idmap: Enabled };
  };
  potentiallyUnsafeConfigAnnotations: readonly string[];
}

/** @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/features.md */
export function engineFeatures(): EngineFeatures {
  return {
    ociVersionMin: "1.0.0",
    ociVersionMax: "1.2.0",
    hooks: HOOK_KINDS,
    mountOptions: knownMountOptions().sort(),
    linux: {
      namespaces: ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
      capabilities: knownCapabilities(),
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: true, rdma: true },
      seccomp: {
        enabled: true,
        actions: SECCOMP_WORDS.actions,
        operators: SECCOMP_WORDS.operators,
        archs: SECCOMP_WORDS.architectures,
        knownFlags: SECCOMP_WORDS.flags,
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: false },
      netDevices: { enabled: false },
      memoryPolicy: MEMORY_POLICY_WORDS,
      mountExtensions: { idmap: { enabled: true } },
    },
    potentiallyUnsafeConfigAnnotations: ["org.systemd.property."],
  };
}
