/** Containers in the guest, in words of the specification. @module */
import { devicesToWire, type GuestDevice } from "../../agent_api/device.ts";
import { lostFields, resourcesToProto, specToProto } from "../../agent_api/spec_codec.ts";
import { statsFromWire } from "../../agent_api/stats_codec.ts";
import { type Storage, storagesToWire } from "../../agent_api/storage.ts";
import type { CgroupStats } from "../../oci/cgroup/stats.ts";
import type { Resources, Spec } from "../../oci/spec/spec.ts";
import type { AgentApi } from "./answers.ts";

/** Whose processes a container sees: its own, those of the containers that share the pod's, or another container's. */
export type PidNamespace = { kind: "own" } | { kind: "pod" } | { kind: "container"; id: string };

export interface GuestContainer {
  id: string;
  /** As the guest sees it. */
  spec: Spec;
  /** Made first. */
  storages: readonly Storage[];
  /** Plugged in for it. Default: none. */
  devices?: readonly GuestDevice[];
  /** Default: its own. */
  pidNamespace?: PidNamespace;
}

/** Calls by a container's id. They throw KataErrors only. */
export interface GuestContainers {
  /**
   * Makes it; its first process waits for {@linkcode GuestContainers.start}.
   *
   * @returns Each field of its specification that the agent's protocol has no place for, and why.
   */
  create(container: GuestContainer): Promise<readonly string[]>;
  start(id: string): Promise<void>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  update(id: string, resources: Resources): Promise<void>;
  /** Usage as the guest measures it; undefined if it does not say. */
  stats(id: string): Promise<CgroupStats | undefined>;
  /** Kills what runs in it still. */
  remove(id: string): Promise<void>;
}

export function guestContainers(api: AgentApi): GuestContainers {
  return {
    async create({ id, spec, storages, devices = [], pidNamespace = { kind: "own" } }) {
      await api.createContainer({
        containerId: id,
        execId: id,
        OCI: specToProto(spec),
        storages: storagesToWire(storages),
        devices: devicesToWire(devices),
        sandboxPidns: pidNamespace.kind === "pod",
        targetPidns: pidNamespace.kind === "container" ? pidNamespace.id : "",
      });
      return lostFields(spec).map(({ path, why }) => `${path}: ${why}`);
    },
    start: (containerId) => api.startContainer({ containerId }),
    pause: (containerId) => api.pauseContainer({ containerId }),
    resume: (containerId) => api.resumeContainer({ containerId }),
    update: (containerId, resources) => api.updateContainer({ containerId, resources: resourcesToProto(resources) }),
    async stats(containerId) {
      const { cgroupStats } = await api.statsContainer({ containerId });
      return cgroupStats && statsFromWire(cgroupStats);
    },
    remove: (containerId) => api.removeContainer({ containerId, timeout: 0 }),
  };
}
