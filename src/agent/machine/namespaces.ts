/** Chooses the namespaces of a container in the guest. Pure. @module */
import type { Namespace, Spec } from "../../oci/spec/spec.ts";

export interface NamespaceChoice {
  /** The sandbox', if it has been created; with the user namespace that they belong to. */
  shared: { ipc: string; uts: string; user?: string } | undefined;
  /** A PID namespace to join; a new one is made without it. */
  pid: string | undefined;
}

/**
 * Rewrites the namespaces of a container: IPC and UTS are the sandbox', there is always a PID namespace, the network is
 * the guest's own. Paths that the host wrote mean nothing here.
 */
export function guestNamespaces(spec: Spec, { shared, pid }: NamespaceChoice): Namespace[] {
  const paths = { ipc: shared?.ipc, uts: shared?.uts, user: shared?.user, pid };
  const wanted = new Set((spec.linux?.namespaces ?? []).map(({ type }) => type)).add("pid");
  wanted.delete("network");
  wanted.delete("time");
  return [...wanted].map((type) => {
    const path = type in paths ? paths[type as keyof typeof paths] : undefined;
    return path === undefined ? { type } : { type, path };
  });
}
