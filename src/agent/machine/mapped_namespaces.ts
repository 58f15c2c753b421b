/** Namespaces of containers whose ids are mapped (user namespaces). @module */
import { setHostname } from "../../linux/device/machine.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { enterNamespace } from "../../linux/process/namespace.ts";
import { type IdMaps, openMappedNamespaces } from "../../oci/mount/idmap.ts";
import type { Spec } from "../../oci/spec/spec.ts";

/** Paths of namespaces that belong together. */
export interface MappedPaths {
  user: string;
  ipc: string;
  uts: string;
}

/**
 * The user namespaces of a sandbox, with IPC and UTS namespaces that belong to them: mounts of the queues, and of the
 * process namespace that a pod shares, are allowed to root of their owner alone. Containers of a pod have the same maps,
 * and so the same namespaces, which go with the sandbox. Disposing it lets them go.
 */
export class MappedNamespaces implements Disposable {
  readonly #byMaps = new Map<string, Record<"user" | "ipc" | "uts", Fd>>();

  /**
   * @param spec Whose user namespace, if it has one, has a path of the host, or none.
   * @param hostname Of the pod; empty: the guest's.
   * @returns Undefined for a container whose ids are not mapped.
   */
  of({ linux }: Spec, { hostname }: { hostname: string }): MappedPaths | undefined {
    if (!linux?.namespaces?.some(({ type }) => type === "user")) return undefined;
    const { uidMappings = [], gidMappings = [] } = linux;
    // The engine says what is wrong with maps that are not whole.
    if (uidMappings.length === 0 || gidMappings.length === 0) return undefined;
    const maps = { uidMappings, gidMappings };
    const key = JSON.stringify(maps);
    const found = this.#byMaps.get(key) ?? make(maps, hostname);
    this.#byMaps.set(key, found);
    const path = ({ number }: Fd) => `/proc/self/fd/${number}`;
    return { user: path(found.user), ipc: path(found.ipc), uts: path(found.uts) };
  }

  [Symbol.dispose](): void {
    for (const { user, ipc, uts } of this.#byMaps.values()) for (const fd of [user, ipc, uts]) fd[Symbol.dispose]();
    this.#byMaps.clear();
  }
}

function make(maps: IdMaps, hostname: string): Record<"user" | "ipc" | "uts", Fd> {
  const made = openMappedNamespaces(maps, ["ipc", "uts"]);
  if (hostname === "") return made;
  using _inside = enterNamespace("uts", `/proc/self/fd/${made.uts.number}`);
  setHostname(hostname);
  return made;
}
