/** `runk features`: what the engine can do, as the specification's features document. @module */
import { knownCapabilities } from "../../../oci/security/capabilities.ts";
import { MEMORY_POLICY_WORDS } from "../../../oci/init/memory_policy.ts";
import { HOOK_KINDS } from "../../../oci/spec/spec.ts";
import { VERSION } from "../../../base/version.ts";
import { knownMountOptions } from "../../../linux/mount/mount_options.ts";
import { SECCOMP_WORDS } from "../../../linux/security/seccomp_profile.ts";
import { type Command, defineCommand, print } from "../command.ts";

export const command: Command = defineCommand({
  usage: "",
  summary: "Prints what runk supports, as JSON.",
  flags: {},
  words: [0, 0],
  run() {
    print(`${JSON.stringify(features(), undefined, 2)}\n`);
    return Promise.resolve(0);
  },
});

/** @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/features.md */
function features() {
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
    annotations: { "org.kata-containers.runk.version": VERSION },
  };
}
