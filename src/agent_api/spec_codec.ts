/**
 * The specification as the agent's protocol carries it. The protocol is older than parts of the specification:
 * {@linkcode lostFields} names what has no place in it.
 *
 * @module
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import * as wire from "../proto/oci_pb.ts";
import {
  anyText,
  anyWord,
  type Codec,
  count,
  count64,
  flag,
  list,
  type LostField,
  message,
  number64,
  plainList,
  small64,
  text,
  textMap,
  type TotalCodec,
  uint32,
} from "./codec.ts";
import { namespaceType, plainNames } from "./peers.ts";
import { resources, seccomp } from "./resources_codec.ts";
import type * as spec from "../oci/spec/spec.ts";

const capabilityNames: Codec<string[], string[]> = {
  encode: (names) => names,
  decode: (wire) => wire.length === 0 ? undefined : plainNames(wire),
};

const capabilities = message<spec.Capabilities, wire.LinuxCapabilities>({
  bounding: ["Bounding", capabilityNames],
  effective: ["Effective", capabilityNames],
  inheritable: ["Inheritable", capabilityNames],
  permitted: ["Permitted", capabilityNames],
  ambient: ["Ambient", capabilityNames],
});

const user = message<spec.User, wire.User>({
  uid: ["UID", count],
  gid: ["GID", count],
  additionalGids: ["AdditionalGids", plainList<number>()],
  username: ["Username", text],
  umask: ["Umask", count],
});

const rlimit = message<spec.Rlimit, wire.POSIXRlimit>({
  type: ["Type", anyText],
  hard: ["Hard", count64],
  soft: ["Soft", count64],
});

const scheduler = message<spec.Scheduler, wire.LinuxScheduler>({
  policy: ["Policy", anyText],
  nice: ["Nice", number64],
  priority: ["Priority", number64],
  flags: ["Flags", plainList<string>()],
  runtime: ["Runtime", count64],
  deadline: ["Deadline", count64],
  period: ["Period", count64],
});

const ioPriority = message<spec.IoPriority, wire.LinuxIOPriority>({
  class: ["Class", anyWord<spec.IoPriority["class"]>()],
  priority: ["Priority", number64],
});

const processFields = message<spec.Process, wire.Process>({
  terminal: ["Terminal", flag],
  consoleSize: ["ConsoleSize", message<spec.Box, wire.Box>({ height: ["Height", count], width: ["Width", count] })],
  user: ["User", user],
  args: ["Args", plainList<string>()],
  env: ["Env", plainList<string>()],
  cwd: ["Cwd", anyText],
  capabilities: ["Capabilities", capabilities],
  rlimits: ["Rlimits", list(rlimit)],
  noNewPrivileges: ["NoNewPrivileges", flag],
  apparmorProfile: ["ApparmorProfile", text],
  oomScoreAdj: ["OOMScoreAdj", small64],
  selinuxLabel: ["SelinuxLabel", text],
  scheduler: ["Scheduler", scheduler],
  ioPriority: ["IOPriority", ioPriority],
  execCPUAffinity: { notCarried: "the protocol has no field for it, and CPUs are numbered as the host's" },
});

/** A user that the message lacks is root, as in a `config.json`. */
const process: TotalCodec<spec.Process, wire.Process> = {
  ...processFields,
  decode(value) {
    const decoded = processFields.decode(value);
    return value.User === undefined ? { ...decoded, user: { uid: 0, gid: 0 } } : decoded;
  },
};

const idMappings = list(message<spec.IdMapping, wire.LinuxIDMapping>({
  containerID: ["ContainerID", count],
  hostID: ["HostID", count],
  size: ["Size", count],
}));

const mount = message<spec.Mount, wire.Mount>({
  destination: ["destination", anyText],
  source: ["source", text],
  type: ["type", text],
  options: ["options", plainList<string>()],
  uidMappings: ["uidMappings", idMappings],
  gidMappings: ["gidMappings", idMappings],
});

const hook = message<spec.Hook, wire.Hook>({
  path: ["Path", anyText],
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

const eitherType: TotalCodec<spec.NamespaceType, string> = {
  encode: (type) => type,
  decode: (wire) => namespaceType(wire) as spec.NamespaceType,
};

const namespace = message<spec.Namespace, wire.LinuxNamespace>({
  type: ["Type", eitherType],
  path: ["Path", text],
});

/** A kind without rights, which says what 0 cannot: that stands for no mode at all. */
const NO_RIGHTS = 0o020000;

const fileMode: Codec<number, number> = {
  encode: (value) => value || NO_RIGHTS,
  decode: (wire) => wire === NO_RIGHTS ? 0 : wire || undefined,
};

const device = message<spec.Device, wire.LinuxDevice>({
  path: ["Path", anyText],
  type: ["Type", anyWord<spec.DeviceType>()],
  major: ["Major", number64],
  minor: ["Minor", number64],
  fileMode: ["FileMode", fileMode],
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

const personality = message<spec.Personality, wire.LinuxPersonality>({
  domain: ["Domain", anyText],
  flags: ["Flags", plainList<string>()],
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
  personality: ["Personality", personality],
  memoryPolicy: { notCarried: "the protocol has no field for it, and the guest's nodes are its own" },
  timeOffsets: { notCarried: "the protocol has no field for it, and the guest is the sandbox's clock" },
});

const root = message<spec.Root, wire.Root>({ path: ["Path", anyText], readonly: ["Readonly", flag] });

const whole = message<spec.Spec, wire.Spec>({
  ociVersion: ["Version", anyText],
  process: ["Process", process],
  root: ["Root", root],
  hostname: ["Hostname", text],
  domainname: ["Domainname", text],
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
  return whole.decode(value);
}

export function processToProto(value: spec.Process): wire.Process {
  return create(wire.ProcessSchema, process.encode(value) as MessageInitShape<typeof wire.ProcessSchema>);
}

export function processFromProto(value: wire.Process): spec.Process {
  const decoded = process.decode(value);
  return decoded.cwd === "" ? { ...decoded, cwd: "/" } : decoded;
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
