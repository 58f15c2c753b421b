/** Rewrites a container's specification for the guest, where the host's part of it makes no sense. Pure. @module */
import type { Config } from "../config/schema.ts";
import { splitScope } from "../oci/cgroup/systemd/scope.ts";
import type { Linux, Mount, NamespaceType, Process, Resources, Spec } from "../oci/spec/spec.ts";
import { type ContainerType, SPEC_ANNOTATION } from "../agent_api/names.ts";
import { toGuestDevices, toGuestRules } from "./devices/spec_devices.ts";

export interface GuestSpecOptions {
  config: Config;
  type: ContainerType;
  /** Bundle on the host, for the agent's information. */
  bundle: string;
  /** Root file system in the guest. */
  rootfs: string;
  /** The spec's mounts, with sources in the guest. */
  mounts: readonly Mount[];
}

/** Namespaces that mean another thing in the guest: it has one network, one clock, and pid is the agent's to decide. */
const HOST_NAMESPACES: readonly NamespaceType[] = ["pid", "network", "time", "cgroup"];

/** @param spec As the engine wrote it; it is not changed. */
export function toGuestSpec(spec: Spec, options: GuestSpecOptions): Spec {
  const { hooks: _, ...rest } = spec;
  return {
    ...rest,
    root: { ...spec.root, path: options.rootfs },
    mounts: [...options.mounts],
    ...(spec.process && { process: toGuestProcess(spec.process, options.config) }),
    ...(spec.linux && { linux: toGuestLinux(spec.linux, options.config) }),
    annotations: {
      ...spec.annotations,
      [SPEC_ANNOTATION.bundlePath]: options.bundle,
      [SPEC_ANNOTATION.containerType]: options.type,
    },
  };
}

/** Of a container's first process, and of one added by exec. */
export function toGuestProcess(process: Process, _config: Config): Process {
  // The labels name policies of the host, which the guest's kernel has not loaded.
  const { apparmorProfile: _apparmor, selinuxLabel: _selinux, ...rest } = process;
  return rest;
}

function toGuestLinux(linux: Linux, config: Config): Linux {
  const { mountLabel: _label, intelRdt: _rdt, seccomp, resources, namespaces = [], cgroupsPath, devices, ...rest } =
    linux;
  return {
    ...rest,
    namespaces: namespaces.filter(({ type }) => !HOST_NAMESPACES.includes(type)).map(({ type }) => ({ type })),
    ...(devices !== undefined && { devices: toGuestDevices(linux) }),
    ...(seccomp !== undefined && !config.runtime.disable_guest_seccomp && { seccomp }),
    resources: { ...toGuestResources(resources ?? {}), devices: toGuestRules(linux) },
    ...(cgroupsPath !== undefined && { cgroupsPath: toGuestCgroup(cgroupsPath) }),
  };
}

/** Device numbers, CPU and node numbers are the host's; block and network limits apply to the VM as a whole. */
export function toGuestResources(resources: Resources): Resources {
  const { devices: _d, blockIO: _b, network: _n, cpu, unified, ...rest } = resources;
  const { cpus: _cpus, mems: _mems, ...time } = cpu ?? {};
  return {
    ...rest,
    ...(cpu !== undefined && { cpu: time }),
    ...(unified !== undefined && { unified: withoutHardware(unified) }),
  };
}

/**
 * Limits that are set and that {@linkcode toGuestResources} leaves out although nobody on the host keeps them.
 *
 * @returns Each field and why.
 */
export function keptFromGuest({ blockIO = {}, network = {}, unified = {} }: Resources): string[] {
  const parts = Object.entries({ blockIO, network }).flatMap(([part, limits]) =>
    Object.entries(limits).filter(([, value]) => Array.isArray(value) ? value.length > 0 : Boolean(value))
      .map(([name]) => `linux.resources.${part}.${name}: disks and the network are the machine's as a whole`)
  );
  const files = Object.keys(unified).filter(isOfHardware)
    .map((file) => `linux.resources.unified.${file}: disks and CPUs are numbered as the host's`);
  return [...parts, ...files];
}

function withoutHardware(unified: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(unified).filter(([file]) => !isOfHardware(file)));
}

/** Whether a file of a v2 group is about disks, CPUs or nodes. */
function isOfHardware(file: string): boolean {
  return /^(io|cpuset|rdma)\./.test(file);
}

/** systemd's `slice:prefix:name` becomes a path: the guest has no systemd to ask. */
function toGuestCgroup(path: string): string {
  const scope = splitScope(path);
  return scope === undefined ? path : `/${scope.slice}/${scope.prefix}-${scope.name}.scope`;
}
