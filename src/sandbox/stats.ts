/** Usage of a container or of a whole pod. @module */
import type { LinkStatistics } from "../linux/net/rtnetlink.ts";
import type { CgroupStats } from "../oci/cgroup/stats.ts";
import type { SandboxResources } from "../resources/sandbox_resources.ts";
import type { Container } from "./container/container.ts";

export interface SandboxStats {
  /** Undefined: nobody says. */
  cgroup: CgroupStats | undefined;
  /** By interface of the pod, as the pod sees it. */
  network: ReadonlyMap<string, LinkStatistics>;
}

type Host = Pick<SandboxResources, "cgroups" | "networkStatistics">;

/**
 * A container is measured in the guest. A pod is measured by its cgroup on the host, if it has one: what its processes
 * cost and the VM for them, which is what its limits hold. The network is always that of the pod.
 */
export async function statsOf(
  container: Pick<Container, "stats">,
  host: Host,
  { isPod }: { isPod: boolean },
): Promise<SandboxStats> {
  const ofHost = isPod ? host.cgroups?.stats() : undefined;
  return { cgroup: ofHost ?? await container.stats(), network: host.networkStatistics() };
}
