/** Usage of a container or of a whole pod. @module */
import { create } from "@bufbuild/protobuf";
import { statsToWire } from "../agent_api/stats_codec.ts";
import { NetworkStatsSchema, type StatsContainerResponse, StatsContainerResponseSchema } from "../proto/agent_pb.ts";
import type { SandboxResources } from "../resources/sandbox_resources.ts";
import type { Container } from "./container/container.ts";

type Host = Pick<SandboxResources, "cgroups" | "networkStatistics">;

/**
 * A container is measured in the guest. A pod is measured by its cgroup on the host, if it has one: what its processes
 * cost and the VM for them, which is what its limits hold. The network is always that of the pod.
 */
export async function statsOf(
  container: Pick<Container, "stats">,
  host: Host,
  { isPod }: { isPod: boolean },
): Promise<StatsContainerResponse> {
  const ofHost = isPod ? host.cgroups?.stats() : undefined;
  const stats = ofHost === undefined
    ? await container.stats()
    : create(StatsContainerResponseSchema, { cgroupStats: statsToWire(ofHost) });
  return { ...stats, networkStats: networkStats(host) };
}

function networkStats(host: Host): StatsContainerResponse["networkStats"] {
  return [...host.networkStatistics()].map(([name, statistics]) => {
    const counts = Object.fromEntries(Object.entries(statistics).map(([key, count]) => [key, BigInt(count)]));
    return create(NetworkStatsSchema, { name, ...counts });
  });
}
