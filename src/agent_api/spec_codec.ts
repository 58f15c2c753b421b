/**
 * The specification as the agent's protocol carries it. The protocol is older than parts of the specification:
 * {@linkcode lostFields} names what has no place in it.
 *
 * @module
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import * as wire from "../proto/oci_pb.ts";
import {
  count,
  count64,
  flag,
  list,
  type LostField,
  message,
  plainList,
  small64,
  text,
  textMap,
  uint32,
  word,
} from "./codec.ts";
import { resources, seccomp } from "./resources_codec.ts";
import type * as spec from "../oci/spec/spec.ts";

const capabilities = message<spec.Capabilities, wire.LinuxCapabilities>({
  bounding: ["Bounding", plainList<string>()],
  effective: ["Effective", plainList<string>()],
  inheritable: ["Inheritable", plainList<string>()],
  permitted: ["Permitted", plainList<string>()],
  ambient: ["Ambient", plainList<string>()],
});

const user = message<spec.User, wire.User>({
  uid: ["UID", count],
  gid: ["GID", count],
  additionalGids: ["AdditionalGids", plainList<number>()],
  username: ["Username", text],
  umask: ["Umask", count],
});

const rlimit = message<spec.Rlimit, wire.POSIXRlimit>({
  type: ["Type", text],
  hard: ["Hard", count64],
  soft: ["Soft", count64],
});

const process = message<spec.Process, wire.Process>({
  terminal: ["Terminal", flag],
  consoleSize: ["ConsoleSize", message<spec.Box, wire.Box>({ height: ["Height", count], width: ["Width", count] })],
  user: ["User", user],
  args: ["Args", plainList<string>()],
  env: ["Env", plainList<string>()],
  cwd: ["Cwd", text],
  capabilities: ["Capabilities", capabilities],
  rlimits: ["Rlimits", list(rlimit)],
  noNewPrivileges: ["NoNewPrivileges", flag],
  apparmorProfile: ["ApparmorProfile", text],
  oomScoreAdj: ["OOMScoreAdj", small64],
  selinuxLabel: ["SelinuxLabel", text],
  scheduler: { notCarried: "the protocol has no field for it" },
  ioPriority: { notCarried: "the protocol has no field for it" },
  execCPUAffinity: { notCarried: "the protocol has no field for it, and CPUs are numbered as the host's" },
});

const mount = message<spec.Mount, wire.Mount>({
  destination: ["destination", text],
  source: ["source", text],
  type: ["type", text],
  options: ["options", plainList<string>()],
  uidMappings: { notCarried: "the protocol has no field for mappings of a mount" },
  gidMappings: { notCarried: "the protocol has no field for mappings of a mount" },
});

const hook = message<spec.Hook, wire.Hook>({
  path: ["Path", text],
  args: ["Args", plainList<string>()],
  env: ["Env", plainList<string>()],
  timeout: ["Timeout", small64],
});

const hooks = message<spec.Hooks, wire.Hooks>({
  prestart: ["Prestart", list(hook)],
  createRuntime: ["CreateRuntime", list(hook)],
  createContainer: ["CreateContainer", list(hook)],
  startContainer: ["StartContainer", list(hook)],
  poststart: ["Poststart", list(hook)],
  poststop: ["Poststop", list(hook)],
});

const idMappings = list(message<spec.IdMapping, wire.LinuxIDMapping>({
  containerID: ["ContainerID", count],
  hostID: ["HostID", count],
  size: ["Size", count],
}));

const namespace = message<spec.Namespace, wire.LinuxNamespace>({
  type: ["Type", word<spec.NamespaceType>()],
  path: ["Path", text],
});

const device = message<spec.Device, wire.LinuxDevice>({
  path: ["Path", text],
  type: ["Type", word<spec.DeviceType>()],
  major: ["Major", { encode: BigInt, decode: Number }],
  minor: ["Minor", { encode: BigInt, decode: Number }],
  fileMode: ["FileMode", uint32],
  uid: ["UID", uint32],
  gid: ["GID", uint32],
});

const HOST_CACHE = { notCarried: "the cache is the host's" };

const intelRdt = message<spec.IntelRdt, wire.LinuxIntelRdt>({
  l3CacheSchema: ["L3CacheSchema", text],
  closID: HOST_CACHE,
  schemata: HOST_CACHE,
  memBwSchema: HOST_CACHE,
  enableMonitoring: HOST_CACHE,
  enableCMT: HOST_CACHE,
  enableMBM: HOST_CACHE,
});

const linux = message<spec.Linux, wire.Linux>({
  uidMappings: ["UIDMappings", idMappings],
  gidMappings: ["GIDMappings", idMappings],
  sysctl: ["Sysctl", textMap],
  resources: ["Resources", resources],
  cgroupsPath: ["CgroupsPath", text],
  namespaces: ["Namespaces", list(namespace)],
  devices: ["Devices", list(device)],
  seccomp: ["Seccomp", seccomp],
  rootfsPropagation: ["RootfsPropagation", text],
  maskedPaths: ["MaskedPaths", plainList<string>()],
  readonlyPaths: ["ReadonlyPaths", plainList<string>()],
  mountLabel: ["MountLabel", text],
  intelRdt: ["IntelRdt", intelRdt],
  personality: { notCarried: "the protocol has no field for it" },
  timeOffsets: { notCarried: "the protocol has no field for it, and the guest is the sandbox's clock" },
});

const root = message<spec.Root, wire.Root>({ path: ["Path", text], readonly: ["Readonly", flag] });

const whole = message<spec.Spec, wire.Spec>({
  ociVersion: ["Version", text],
  process: ["Process", process],
  root: ["Root", root],
  hostname: ["Hostname", text],
  domainname: { notCarried: "the protocol has no field for it" },
  mounts: ["Mounts", list(mount)],
  hooks: ["Hooks", hooks],
  annotations: ["Annotations", textMap],
  linux: ["Linux", linux],
});

/** Fields of a specification that do not reach the guest. */
export function lostFields(value: spec.Spec): LostField[] {
  return whole.lost?.(value) ?? [];
}

export function specToProto(value: spec.Spec): wire.Spec {
  return create(wire.SpecSchema, whole.encode(value) as MessageInitShape<typeof wire.SpecSchema>);
}

export function specFromProto(value: wire.Spec): spec.Spec {
  return { ociVersion: "", ...whole.decode(value) };
}

export function processToProto(value: spec.Process): wire.Process {
  return create(wire.ProcessSchema, process.encode(value) as MessageInitShape<typeof wire.ProcessSchema>);
}

export function processFromProto(value: wire.Process): spec.Process {
  return { user: { uid: 0, gid: 0 }, cwd: "/", ...process.decode(value) };
}

export function resourcesToProto(value: spec.Resources): wire.LinuxResources {
  return create(
    wire.LinuxResourcesSchema,
    resources.encode(value) as MessageInitShape<typeof wire.LinuxResourcesSchema>,
  );
}

export function resourcesFromProto(value: wire.LinuxResources): spec.Resources {
  return { ...resources.decode(value) };
}
