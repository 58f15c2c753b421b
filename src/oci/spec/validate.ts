/**
 * The rules of the specification that a configuration must meet before anything is made. Each rule is a function that
 * names the problems it finds; {@linkcode validate} reports them all at once.
 *
 * @module
 */
import { quoted } from "../../base/text.ts";
import { KataError } from "../../base/error.ts";
import { isApparmorEnabled, isSelinuxEnabled } from "../../linux/security/label.ts";
import { parsePropagation } from "../../linux/mount/mount_options.ts";
import { NAMESPACE_KINDS, ownNamespaces, planNamespaces } from "../init/namespaces.ts";
import { memoryPolicyArguments } from "../init/memory_policy.ts";
import { rlimitCall } from "../init/rlimits.ts";
import { HOOK_KINDS, type Process, type Spec } from "./spec.ts";
import { sysctlPath, sysctlProblem } from "../init/sysctl.ts";

/** Properties of the machine around the container that decide what a specification may ask. */
export interface ValidateOptions {
  /** The whole machine is the container's sandbox, as a guest is: parameters of shared namespaces may be set too. */
  ownsMachine?: boolean;
}

type Rule = (spec: Spec, options: ValidateOptions) => string[];

const RULES: readonly Rule[] = [
  versionIsKnown,
  rootIsGiven,
  processIsComplete,
  mountsAreComplete,
  mountLabelHolds,
  namespacesAreUnique,
  namesHaveNamespaces,
  mappingsAreComplete,
  propagationIsKnown,
  rootIsSharedByName,
  sysctlsAreNamespaced,
  devicesAreComplete,
  hooksAreComplete,
  mountNamespaceIsOwn,
  rdtIsThere,
  systemCallsAreNamed,
  listenerIsNamed,
  memoryPolicyHolds,
  laterPartsAreAbsent,
];

/** @throws {KataError} INVALID_ARGUMENT, listing every problem. */
export function validate(spec: Spec, options: ValidateOptions = {}): void {
  report(RULES.flatMap((rule) => rule(spec, options)));
}

/** The rules for a process that joins a running container. */
export function validateProcess(process: Process): void {
  report(processProblems(process));
}

function report(problems: string[]): void {
  if (problems.length === 0) return;
  throw new KataError("INVALID_ARGUMENT", `Cannot use the container's configuration: ${problems.join("; ")}`);
}

function versionIsKnown({ ociVersion }: Spec): string[] {
  // Kata's own runtimes leave it empty at times.
  if (!ociVersion) return [];
  return /^1\.\d+\.\d+/.test(ociVersion) ? [] : [`ociVersion ${quoted(ociVersion)} is not 1.x`];
}

function rootIsGiven({ root }: Spec): string[] {
  return root?.path ? [] : ["root.path is missing"];
}

function processIsComplete({ process }: Spec): string[] {
  return process === undefined ? ["process is missing"] : processProblems(process);
}

function processProblems(process: Process): string[] {
  const problems: string[] = [];
  const { args = [], cwd, env = [], rlimits = [], oomScoreAdj = 0 } = process;
  const { selinuxLabel, apparmorProfile } = process;
  if (args.length === 0) problems.push("process.args is empty");
  if (!cwd) problems.push("process.cwd is missing");
  else if (!cwd.startsWith("/")) problems.push(`process.cwd ${quoted(cwd)} is not absolute`);
  for (const entry of env) {
    if (!/^[^=]+=/.test(entry)) problems.push(`process.env holds ${quoted(entry)}, without a value`);
  }
  for (const text of [...args, ...env, cwd]) {
    if (text.includes("\0")) problems.push(`process holds ${JSON.stringify(text)}, with a NUL`);
  }
  if (!(Math.abs(oomScoreAdj) <= 1000)) problems.push(`process.oomScoreAdj ${oomScoreAdj} is not in -1000 to 1000`);
  for (const rlimit of rlimits) problems.push(...problemOf(() => rlimitCall(rlimit)));
  const types = rlimits.map(({ type }) => type);
  const twice = types.find((type, index) => types.indexOf(type) !== index);
  if (twice !== undefined) problems.push(`process.rlimits names ${quoted(twice)} twice`);
  if (selinuxLabel && !isSelinuxEnabled()) {
    problems.push(`process.selinuxLabel ${quoted(selinuxLabel)} ${NEEDS_SELINUX}`);
  }
  if (apparmorProfile && !isApparmorEnabled()) {
    problems.push(`process.apparmorProfile ${quoted(apparmorProfile)} needs AppArmor, which is not enabled here`);
  }
  return problems;
}

const NEEDS_SELINUX = "needs SELinux, which is not enabled here";

function mountLabelHolds({ linux }: Spec): string[] {
  if (!linux?.mountLabel) return [];
  if (linux.mountLabel.includes('"')) return ["linux.mountLabel holds a quotation mark"];
  return isSelinuxEnabled() ? [] : [`linux.mountLabel ${quoted(linux.mountLabel)} ${NEEDS_SELINUX}`];
}

function mountsAreComplete({ mounts = [] }: Spec): string[] {
  return mounts.flatMap(({ destination }, index) => destination ? [] : [`mounts[${index}].destination is missing`]);
}

function namespacesAreUnique({ linux }: Spec): string[] {
  const types = (linux?.namespaces ?? []).map(({ type }) => type);
  const unknown = types.filter((type) => !Object.hasOwn(NAMESPACE_KINDS, type)).map((type) =>
    `namespace type ${quoted(type)} is unknown`
  );
  const twice = types.filter((type, index) => types.indexOf(type) !== index).map((type) =>
    `namespace ${quoted(type)} is listed twice`
  );
  return [...unknown, ...twice];
}

function namesHaveNamespaces({ hostname, domainname, linux }: Spec): string[] {
  const hasUts = (linux?.namespaces ?? []).some(({ type }) => type === "uts");
  if (hasUts) return [];
  const named = Object.entries({ hostname, domainname }).filter(([, value]) => value);
  return named.map(([key]) => `${key} needs a uts namespace`);
}

function mappingsAreComplete({ linux }: Spec): string[] {
  const user = (linux?.namespaces ?? []).find(({ type }) => type === "user");
  const mapped = [linux?.uidMappings, linux?.gidMappings].filter((mappings) => (mappings ?? []).length > 0).length;
  if (user === undefined) return mapped > 0 ? ["id mappings need a user namespace"] : [];
  if (user.path) return [];
  return mapped === 2 ? [] : ["a new user namespace needs uidMappings and gidMappings"];
}

function propagationIsKnown({ linux }: Spec): string[] {
  const word = linux?.rootfsPropagation;
  return word ? problemOf(() => parsePropagation(word)) : [];
}

/** pivot_root(2) takes no root that is shared: it becomes so afterwards, by the field that is there for it. */
function rootIsSharedByName({ mounts = [], linux }: Spec): string[] {
  if (linux?.rootfsPropagation?.endsWith("shared")) return [];
  return mounts.flatMap(({ destination, options = [] }, index) => {
    const isRoot = destination?.split("/").every((part) => part === "" || part === ".");
    const word = options.findLast((option) => /^r?(shared|private|slave|unbindable)$/.test(option));
    if (!isRoot || !word?.endsWith("shared")) return [];
    return [`mounts[${index}] on "/" cannot be ${word} by itself: set linux.rootfsPropagation to it`];
  });
}

function sysctlsAreNamespaced({ linux, domainname }: Spec, { ownsMachine = false }: ValidateOptions): string[] {
  const own = ownNamespaces(planNamespaces(linux?.namespaces));
  return Object.entries(linux?.sysctl ?? {}).flatMap(([name, value]) => {
    const malformed = problemOf(() => sysctlPath(name));
    if (malformed.length > 0 || ownsMachine) return malformed;
    return sysctlProblem(name, own) ?? domainnameProblem(name, { value, domainname });
  });
}

/** Two words for one thing, of which only one can be carried out. */
function domainnameProblem(
  name: string,
  { value, domainname }: { value: string; domainname: string | undefined },
): string[] {
  const isOther = name.replaceAll("/", ".") === "kernel.domainname" && domainname && domainname !== value;
  return isOther ? [`sysctl ${quoted(name)} is another one than "domainname"`] : [];
}

function devicesAreComplete({ linux }: Spec): string[] {
  return (linux?.devices ?? []).flatMap(({ path, type }) => {
    if (!path.startsWith("/")) return [`device ${quoted(path)} has no absolute path`];
    return ["b", "c", "u", "p"].includes(type) ? [] : [`device ${quoted(path)} has the unknown type ${quoted(type)}`];
  });
}

function hooksAreComplete({ hooks = {} }: Spec): string[] {
  return HOOK_KINDS.flatMap((kind) => hooks[kind] ?? []).flatMap(({ path, timeout = 1 }) => {
    if (!path.startsWith("/")) return [`hook ${quoted(path)} has no absolute path`];
    return timeout > 0 ? [] : [`hook ${quoted(path)} has the timeout ${timeout}`];
  });
}

/** On a machine of its own a container would share the mounts of those who serve it. */
function mountNamespaceIsOwn({ linux }: Spec, { ownsMachine = false }: ValidateOptions): string[] {
  const isOwn = (linux?.namespaces ?? []).some(({ type, path }) => type === "mount" && !path);
  return ownsMachine && !isOwn ? ["a container of a sandbox needs a mount namespace of its own"] : [];
}

function rdtIsThere({ linux }: Spec): string[] {
  return Object.keys(linux?.intelRdt ?? {}).length === 0
    ? []
    : ["linux.intelRdt is not supported: there is no resctrl here"];
}

function systemCallsAreNamed({ linux }: Spec): string[] {
  return (linux?.seccomp?.syscalls ?? []).flatMap(({ names }, index) =>
    names.length > 0 ? [] : [`linux.seccomp.syscalls[${index}] names no system call`]
  );
}

function listenerIsNamed({ linux }: Spec): string[] {
  const { syscalls = [], listenerPath, listenerMetadata } = linux?.seccomp ?? {};
  if (listenerPath) return [];
  if (listenerMetadata) return ["linux.seccomp.listenerMetadata is given without listenerPath"];
  const notifies = syscalls.some(({ action }) => action === "SCMP_ACT_NOTIFY");
  return notifies ? ["linux.seccomp has SCMP_ACT_NOTIFY without listenerPath"] : [];
}

function memoryPolicyHolds({ linux: { memoryPolicy = {} } = {} }: Spec): string[] {
  return Object.keys(memoryPolicy).length === 0 ? [] : problemOf(() => memoryPolicyArguments(memoryPolicy));
}

/** Passing them over in silence would give a container that lacks what was asked. An empty one asks for nothing. */
function laterPartsAreAbsent({ linux }: Spec): string[] {
  const later = Object.entries(linux ?? {}).filter(([key]) => key === "netDevices");
  return later.filter(([, value]) => Object.keys(value ?? {}).length > 0).map(([key]) =>
    `linux.${key} is not supported: it is of version 1.3 of the specification`
  );
}

function problemOf(check: () => unknown): string[] {
  try {
    check();
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}
