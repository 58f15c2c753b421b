/**
 * The shapes beside the fields that the specification's own JSON schema names (1.3, without those of other systems).
 *
 * @see https://github.com/opencontainers/runtime-spec/tree/v1.3.0/schema
 */
import assert from "node:assert/strict";
import { SPEC_SHAPE } from "./spec.ts";
import { keysOf } from "./testing/values.ts";

/** Keys by their parent; `!` behind those that the schema requires. A clock stands for both of `timeOffsets`. */
const SCHEMA: Readonly<Record<string, string>> = {
  "": "annotations domainname freebsd hooks hostname linux mounts ociVersion! process root solaris vm windows zos",
  "annotations": "*",
  "hooks": "createContainer createRuntime poststart poststop prestart startContainer",
  "hooks.createContainer": "args env path! timeout",
  "hooks.createRuntime": "args env path! timeout",
  "hooks.poststart": "args env path! timeout",
  "hooks.poststop": "args env path! timeout",
  "hooks.prestart": "args env path! timeout",
  "hooks.startContainer": "args env path! timeout",
  "linux":
    "cgroupsPath devices gidMappings intelRdt maskedPaths memoryPolicy mountLabel namespaces netDevices personality readonlyPaths resources rootfsPropagation seccomp sysctl timeOffsets uidMappings",
  "linux.devices": "fileMode gid major minor path! type! uid",
  "linux.gidMappings": "containerID! hostID! size!",
  "linux.intelRdt": "closID enableMonitoring l3CacheSchema memBwSchema schemata",
  "linux.memoryPolicy": "flags mode nodes",
  "linux.namespaces": "path type!",
  "linux.netDevices.*": "name",
  "linux.personality": "domain flags",
  "linux.resources": "blockIO cpu devices hugepageLimits memory network pids rdma unified",
  "linux.resources.blockIO":
    "leafWeight throttleReadBpsDevice throttleReadIOPSDevice throttleWriteBpsDevice throttleWriteIOPSDevice weight weightDevice",
  "linux.resources.blockIO.throttleReadBpsDevice": "major! minor! rate",
  "linux.resources.blockIO.throttleReadIOPSDevice": "major! minor! rate",
  "linux.resources.blockIO.throttleWriteBpsDevice": "major! minor! rate",
  "linux.resources.blockIO.throttleWriteIOPSDevice": "major! minor! rate",
  "linux.resources.blockIO.weightDevice": "leafWeight major! minor! weight",
  "linux.resources.cpu": "burst cpus idle mems period quota realtimePeriod realtimeRuntime shares",
  "linux.resources.devices": "access allow! major minor type",
  "linux.resources.hugepageLimits": "limit! pageSize!",
  "linux.resources.memory":
    "checkBeforeUpdate disableOOMKiller kernel kernelTCP limit reservation swap swappiness useHierarchy",
  "linux.resources.network": "classID priorities",
  "linux.resources.network.priorities": "name! priority!",
  "linux.resources.pids": "limit!",
  "linux.resources.rdma.*": "hcaHandles hcaObjects",
  "linux.resources.unified": "*",
  "linux.seccomp": "architectures defaultAction! defaultErrnoRet flags listenerMetadata listenerPath syscalls",
  "linux.seccomp.syscalls": "action! args errnoRet names!",
  "linux.seccomp.syscalls.args": "index! op! value! valueTwo",
  "linux.sysctl": "*",
  "linux.timeOffsets": "*",
  "linux.timeOffsets.*": "nanosecs secs",
  "linux.uidMappings": "containerID! hostID! size!",
  "mounts": "destination! gidMappings options source type uidMappings",
  "mounts.gidMappings": "containerID! hostID! size!",
  "mounts.uidMappings": "containerID! hostID! size!",
  "process":
    "apparmorProfile args capabilities commandLine consoleSize cwd! env execCPUAffinity ioPriority noNewPrivileges oomScoreAdj rlimits scheduler selinuxLabel terminal user",
  "process.capabilities": "ambient bounding effective inheritable permitted",
  "process.consoleSize": "height! width!",
  "process.execCPUAffinity": "final initial",
  "process.ioPriority": "class! priority",
  "process.rlimits": "hard! soft! type!",
  "process.scheduler": "deadline flags nice period policy! priority runtime",
  "process.user": "additionalGids gid uid umask username",
  "root": "path! readonly",
};

function schemaKeys(): string[] {
  return Object.entries(SCHEMA).flatMap(([parent, keys]) =>
    keys.split(" ").map((key) => parent === "" ? key : `${parent}.${key}`)
  );
}

/** Keys of the schema that no shape names, and why. */
const NOT_OURS: Readonly<Record<string, string>> = {
  "freebsd": "another system",
  "solaris": "another system",
  "vm": "a runtime of its own design reads it",
  "windows": "another system",
  "zos": "another system",
  "process.commandLine": "Windows",
  "linux.netDevices": "refused by validate()",
  "linux.netDevices.*.name": "refused by validate()",
};

/** Keys of the shapes that the schema does not name, and why. */
const OURS_ONLY: Readonly<Record<string, string>> = {
  "linux.intelRdt.enableCMT": "1.2 has it",
  "linux.intelRdt.enableMBM": "1.2 has it",
  "linux.resources.rdma.*": "the schema says so by other means",
};

/** Keys that one side requires and the other does not, and why. */
const REQUIRED_BY_ONE: Readonly<Record<string, string>> = {
  "process.user": "complete() fills it in",
  "process.user.uid": "complete() fills it in",
  "process.user.gid": "complete() fills it in",
  "process.ioPriority.priority": "the specification's text requires it",
  "linux.personality.domain": "the specification's text requires it",
  "linux.resources.blockIO.throttleReadBpsDevice.rate": "the specification's text requires it",
  "linux.resources.blockIO.throttleReadIOPSDevice.rate": "the specification's text requires it",
  "linux.resources.blockIO.throttleWriteBpsDevice.rate": "the specification's text requires it",
  "linux.resources.blockIO.throttleWriteIOPSDevice.rate": "the specification's text requires it",
  "linux.resources.pids.limit": "an engine may leave it out: no limit",
};

function plain(keys: readonly string[]): Set<string> {
  return new Set(keys.map((key) => key.replace("!", "")));
}

Deno.test("SPEC_SHAPE names each field of the specification's schema, or the reason against it stands here", () => {
  const ours = plain(keysOf(SPEC_SHAPE));
  const missing = schemaKeys().map((key) => key.replace("!", "")).filter((key) => !ours.has(key));
  assert.deepEqual(missing.sort(), Object.keys(NOT_OURS).sort());
});

Deno.test("SPEC_SHAPE names no field that the specification's schema lacks, but for those with a reason here", () => {
  const theirs = plain(schemaKeys());
  const added = [...plain(keysOf(SPEC_SHAPE))].filter((key) => !theirs.has(key));
  assert.deepEqual(added.sort(), Object.keys(OURS_ONLY).sort());
});

Deno.test("SPEC_SHAPE requires what the specification's schema requires, but for what has a reason here", () => {
  const ours = keysOf(SPEC_SHAPE);
  const theirs = schemaKeys();
  const both = plain(theirs).intersection(plain(ours));
  const differing = [...both].filter((key) => ours.includes(`${key}!`) !== theirs.includes(`${key}!`));
  assert.deepEqual(differing.sort(), Object.keys(REQUIRED_BY_ONE).sort());
});
