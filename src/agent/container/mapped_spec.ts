/**
 * The specification of a container whose ids are mapped, where the guest is not what its engine counts on: its network
 * namespace belongs to the machine, so that the container's root is none there.
 *
 * @module
 */
import type { Spec } from "../../oci/spec/spec.ts";
import { sysctlPath } from "../../oci/init/sysctl.ts";

/** Files in which the kernel shows devices; only root of the network namespace may mount it anew. */
const SYS = "/sys";

/**
 * Sysctls for what root of a network namespace may do, and a container's root cannot here: serve on ports below 1024, and ping.
 * Engines give both to all users of a pod without user namespaces as well.
 */
const FOR_ALL: Readonly<Record<string, string>> = {
  "net.ipv4.ip_unprivileged_port_start": "0",
  "net.ipv4.ping_group_range": "0 2147483647",
};

/** The machine's sysfs in place of a new one, and without sysctls that {@linkcode setMachineSysctls} sets. Pure. */
export function toMappedSpec(spec: Spec): Spec {
  const mounts = spec.mounts?.map((mount) =>
    mount.type === "sysfs" ? { ...mount, type: "bind", source: SYS, options: [...mount.options ?? [], "bind"] } : mount
  );
  const sysctl = Object.fromEntries(Object.entries(spec.linux?.sysctl ?? {}).filter(([name]) => !isOfNetwork(name)));
  return { ...spec, ...(mounts && { mounts }), linux: { ...spec.linux, sysctl } };
}

/** Sets the sysctls of the network, which is the machine's. @throws {Error} Naming the one that the kernel refuses. */
export function setMachineSysctls({ linux }: Spec): void {
  const asked = Object.entries(linux?.sysctl ?? {}).filter(([name]) => isOfNetwork(name));
  for (const [name, value] of Object.entries({ ...FOR_ALL, ...Object.fromEntries(asked) })) {
    try {
      Deno.writeTextFileSync(sysctlPath(name), value);
    } catch (cause) {
      throw new Error(`Cannot set sysctl "${name}"`, { cause });
    }
  }
}

function isOfNetwork(name: string): boolean {
  return /^net[./]/.test(name);
}
