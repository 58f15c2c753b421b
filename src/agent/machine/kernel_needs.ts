/** Parts of the kernel that a container may want and that are not in it at the start. Pure. @module */
import { parseCapabilities } from "../../oci/security/capabilities.ts";
import type { Process } from "../../oci/spec/process.ts";
import { countingRules } from "../../oci/spec/resources.ts";
import type { Linux, Mount, Spec } from "../../oci/spec/spec.ts";

/** Capabilities in whose name the kernel loads its modules. */
const NET_ADMIN = 1n << 12n;
const REQUESTING = NET_ADMIN | 1n << 16n | 1n << 21n; // and SYS_MODULE, SYS_ADMIN

/** Of iptables, which nothing asks for: the program would load them itself, and has no modules in a container. */
const PACKET_FILTERS = ["ip_tables", "ip6_tables"];

/** Types of mounts that the kernel has from the start, and ones that are none. */
const BUILT_IN: ReadonlySet<string> = new Set(
  [
    "",
    "none",
    "bind",
    "proc",
    "sysfs",
    "tmpfs",
    "devpts",
    "mqueue",
    "cgroup",
    "cgroup2",
    "overlay",
    "ext4",
    "virtiofs",
  ],
);

/** Wants of one container or process. */
export interface KernelNeeds {
  /** It may make the kernel load modules on demand. */
  readonly mayRequest: boolean;
  /** Modules by their names, in our own image. */
  readonly listed: readonly string[];
  /** Modules by any name that `modprobe` understands. A kernel may have them built in, or lack them. */
  readonly named: readonly string[];
}

/** Wants of a process by its capabilities, such as one that `exec --privileged` adds. */
export function needsOfProcess({ capabilities = {} }: Pick<Process, "capabilities"> = {}): KernelNeeds {
  const { bounding = [], permitted = [] } = capabilities;
  const may = parseCapabilities([...bounding, ...permitted]);
  return {
    mayRequest: (may & REQUESTING) !== 0n,
    listed: (may & NET_ADMIN) !== 0n ? PACKET_FILTERS : [],
    named: [],
  };
}

/** Wants of a container by its capabilities, its devices, its mounts and its sysctls. */
export function needsOf({ process, mounts = [], linux = {} }: Spec): KernelNeeds {
  const { mayRequest, listed } = needsOfProcess(process);
  return {
    mayRequest,
    listed: [...listed, ...devicesOf(linux)],
    named: [...mounts.flatMap(filesystemsOf), ...congestionControlOf(linux), ...queueOf(linux)],
  };
}

/** A device that is named is wanted; of those that come with all others each is opened by who may load its module. */
function devicesOf({ devices = [], resources }: Linux): string[] {
  const { hasAll } = countingRules(resources?.devices);
  const isTun = devices.some(({ type, major, minor }) => type !== "b" && major === 10 && minor === 200);
  return isTun && !hasAll ? ["tun"] : [];
}

function filesystemsOf({ type = "" }: Mount): string[] {
  return BUILT_IN.has(type) ? [] : [`fs-${type}`];
}

function congestionControlOf({ sysctl = {} }: Linux): string[] {
  const name = sysctl["net.ipv4.tcp_congestion_control"];
  return name === undefined ? [] : [`tcp_${name}`];
}

function queueOf({ sysctl = {} }: Linux): string[] {
  const name = sysctl["net.core.default_qdisc"];
  return name === undefined ? [] : [`sch_${name}`];
}
