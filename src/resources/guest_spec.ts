/** What of a container's spec makes sense in the guest. Pure. @module */
import type { Config } from "../config/schema.ts";
import type { Device, DeviceRule, Linux, Mount, NamespaceType, Process, Resources, Spec } from "../oci/spec.ts";
import { type ContainerType, SPEC_ANNOTATION } from "../rpc/agent_api.ts";

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
    ...(devices !== undefined && { devices: devices.filter(isPrivileged(resources) ? isOfKernel : isNoDisk) }),
    ...(seccomp !== undefined && !config.runtime.disable_guest_seccomp && { seccomp }),
    resources: { ...toGuestResources(resources ?? {}), devices: toGuestRules(resources?.devices) },
    ...(cgroupsPath !== undefined && { cgroupsPath: toGuestCgroup(cgroupsPath) }),
  };
}

/** A disk's number is another disk in the guest, perhaps the guest's own. */
function isNoDisk({ type }: Device): boolean {
  return type !== "b";
}

/** Engines give a privileged container every device of the host, without being asked for any. */
function isPrivileged(resources: Resources | undefined): boolean {
  const rules = resources?.devices ?? [];
  return rules.some(({ allow, type = "a", major, minor, access = "rwm" }) =>
    allow && type === "a" && major === undefined && minor === undefined && access === "rwm"
  );
}

/** Major numbers of what is no hardware: memory, random numbers, and the own terminal. */
const KERNEL_MAJORS: readonly number[] = [1, 5];
/** Of the miscellaneous devices: TUN and FUSE. */
const MISC_MAJOR = 10;
const MISC_MINORS: readonly number[] = [200, 229];

/** Devices by which every kernel offers its own services, under the same numbers everywhere. */
function isOfKernel({ type, major = -1, minor = -1 }: Device): boolean {
  const isMisc = major === MISC_MAJOR && MISC_MINORS.includes(minor);
  return type === "p" || (type !== "b" && (KERNEL_MAJORS.includes(major) || isMisc));
}

/**
 * What a container may do with the guest's devices, some of which are the agent's: its channel, the guest's own disk. Rules
 * name the host's numbers, so only those for devices with the same ones everywhere are kept.
 */
function toGuestRules(rules: readonly DeviceRule[] = []): DeviceRule[] {
  if (isPrivileged({ devices: [...rules] })) return [{ allow: true, access: "rwm" }];
  return [{ allow: false, access: "rwm" }, ...rules.filter((rule) => isOfKernel({ path: "", type: "a", ...rule }))];
}

/** Device numbers, CPU and node numbers are the host's; block and network limits apply to the VM as a whole. */
export function toGuestResources(resources: Resources): Resources {
  const { devices: _d, pids: _p, blockIO: _b, network: _n, cpu, ...rest } = resources;
  if (cpu === undefined) return rest;
  const { cpus: _cpus, mems: _mems, ...time } = cpu;
  return { ...rest, cpu: time };
}

/** systemd's `slice:prefix:name` becomes a path: the guest has no systemd to ask. */
function toGuestCgroup(path: string): string {
  const [slice, prefix, name] = path.split(":");
  return name === undefined ? path : `/${slice}/${prefix}-${name}.scope`;
}
