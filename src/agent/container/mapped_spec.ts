/**
 * The specification of a container whose ids are mapped, where the guest is not what its engine counts on: its network
 * namespace belongs to the machine, so that the container's root is none there.
 *
 * @module
 */
import { quoted } from "../../base/text.ts";
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

/** The machine's sysfs in place of a new one. Pure. */
export function toMappedSpec(spec: Spec): Spec {
  const mounts = spec.mounts?.map((mount) =>
    mount.type === "sysfs" ? { ...mount, type: "bind", source: SYS, options: [...mount.options ?? [], "bind"] } : mount
  );
  return { ...spec, ...(mounts && { mounts }) };
}

/** Without sysctls that {@linkcode MachineSysctls} sets. Pure. */
export function withoutNetworkSysctls(spec: Spec): Spec {
  const sysctl = Object.fromEntries(Object.entries(spec.linux?.sysctl ?? {}).filter(([name]) => !isOfNetwork(name)));
  return { ...spec, linux: { ...spec.linux, sysctl } };
}

/** Network sysctls of a sandbox, which are the machine's, so that all its containers share them. */
export class MachineSysctls {
  readonly #write: (path: string, value: string) => void;
  /** Files that a container has asked for, or that all have got. */
  readonly #known = new Set<string>();

  constructor(write: (path: string, value: string) => void = (path, value) => Deno.writeTextFileSync(path, value)) {
    this.#write = write;
  }

  /** Remembers what a container whose ids are not mapped sets for itself: it is not to be changed for others. */
  remember({ linux }: Spec): void {
    for (const name of Object.keys(linux?.sysctl ?? {})) if (isOfNetwork(name)) this.#known.add(sysctlPath(name));
  }

  /**
   * Sets what a container whose ids are mapped asks for, and what all such containers need unless one has asked for another
   * value: containers that come later say nothing of what the first one, the pod's, has asked for.
   *
   * @throws {Error} Naming the one that the kernel refuses.
   */
  set(spec: Spec): void {
    const asked = Object.entries(spec.linux?.sysctl ?? {}).filter(([name]) => isOfNetwork(name));
    const own = new Set(asked.map(([name]) => sysctlPath(name)));
    const missing = Object.entries(FOR_ALL).filter(([name]) => !this.#known.union(own).has(sysctlPath(name)));
    for (const [name, value] of [...missing, ...asked]) {
      try {
        this.#write(sysctlPath(name), value);
      } catch (cause) {
        throw new Error(`Cannot set sysctl ${quoted(name)}`, { cause });
      }
      this.#known.add(sysctlPath(name));
    }
  }
}

function isOfNetwork(name: string): boolean {
  return /^net[./]/.test(name);
}
