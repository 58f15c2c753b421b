/** The guest as a whole: the sandbox in it, its clock, its size, and whether it is well. @module */
import { type Storage, storagesToWire } from "../../agent_api/storage.ts";
import type { AgentApi, AgentCallOptions, HealthApi } from "./answers.ts";

export interface GuestSandbox {
  id: string;
  hostname?: string;
  /** Lines of resolv.conf(5). */
  nameServers: readonly string[];
  /** Shared by the containers; made first. */
  storages: readonly Storage[];
  kernelModules?: readonly { name: string; parameters: string[] }[];
}

/** Calls about the whole guest. They throw KataErrors only. */
export interface GuestMachine {
  create(sandbox: GuestSandbox): Promise<void>;
  /** Ends all containers and, but for a guest to be kept, the guest. */
  destroy(options?: { keepGuest?: true; timeoutMs?: number }): Promise<void>;
  /** @param time Milliseconds since 1970. */
  setClock(time: number): Promise<void>;
  /** Feeds the kernel's generator of random numbers. */
  seed(data: Uint8Array): Promise<void>;
  /** Takes into use what was plugged: waits until so many vCPUs are, of all (0: none came), and for memory if some came. */
  online(plugged: { vcpus: number; memory: boolean }): Promise<void>;
  /** Waits for the next shortage of memory that killed something. @returns The id of the container. */
  outOfMemory(options: { signal: AbortSignal }): Promise<string>;
  /** Prometheus' text about the guest, of up to 1 MiB, which may say anything. */
  metrics(options?: AgentCallOptions): Promise<string>;
  /** Resolves if the agent answers. */
  check(options?: AgentCallOptions): Promise<void>;
}

export function guestMachine(api: AgentApi, health: HealthApi): GuestMachine {
  return {
    create: ({ id, hostname = "", nameServers, storages, kernelModules = [] }) =>
      api.createSandbox({
        sandboxId: id,
        hostname,
        dns: [...nameServers],
        storages: storagesToWire(storages),
        kernelModules: [...kernelModules],
      }),
    destroy: ({ keepGuest = false, ...options } = {}) => api.destroySandbox({ keepGuest }, options),
    setClock: (time) =>
      api.setGuestDateTime({ Sec: BigInt(Math.floor(time / 1000)), Usec: BigInt(Math.floor(time % 1000 * 1000)) }),
    seed: (data) => api.reseedRandomDev({ data }),
    online: ({ vcpus, memory }) => api.onlineCPUMem({ wait: true, nbCpus: vcpus, cpuOnly: !memory }),
    outOfMemory: async (options) => (await api.getOOMEvent({}, options)).containerId,
    metrics: async (options) => (await api.getMetrics({}, options)).metrics,
    check: async (options) => void await health.check({}, options),
  };
}
