/** Deciding what a sandbox's VM is: the only place where the configuration becomes a machine. Pure. @module */
import { agentKernelParameters } from "../../agent_api/options.ts";
import { type Level, parseLevel } from "../../base/log.ts";
import type { AgentConfig, Config } from "../../config/schema.ts";
import type { VmConfig } from "../../hypervisor/vm_config.ts";

/** Parts of a VM that the sandbox has, besides the configuration. */
export interface VmNeeds extends Pick<VmConfig, "size">, Partial<Pick<VmConfig, "devices">> {
  netns?: VmConfig["netns"] | undefined;
  cgroupProcs?: VmConfig["cgroupProcs"] | undefined;
}

/** @throws {RangeError} The agent's `log_level` is no level. */
export function vmConfigOf({ hypervisor, agent }: Config, needs: VmNeeds): VmConfig {
  const { kernel, image, initrd, rootfs_type: fsType, kernel_params: user, enable_debug: isVerbose } = hypervisor;
  const { size, devices = [], netns, cgroupProcs } = needs;
  return {
    kernel,
    ...(image !== "" && { image: { path: image, fsType } }),
    ...(initrd !== "" && { initrd }),
    kernelParams: { agent: agentParams(agent), user },
    size,
    devices,
    agent: { hostProof: agent.host_proof !== "none" },
    console: { isVerbose, hasFile: isVerbose || agent.enable_debug },
    ...(netns !== undefined && { netns }),
    ...(cgroupProcs !== undefined && { cgroupProcs }),
  };
}

type AgentWords = Pick<AgentConfig, "enable_debug" | "log_level" | "host_proof" | "container_vsock">;

/** Parameters that the configuration sets for the agent. @throws {RangeError} `log_level` is no level. */
export function agentParams(
  { enable_debug, log_level, host_proof: hostProof, container_vsock: containerVsock }: AgentWords,
): string[] {
  const logLevel: Level = log_level !== "" ? parseLevel(log_level) : enable_debug ? "debug" : "info";
  return agentKernelParameters({ logLevel, hostProof, containerVsock }); // without the agent's own defaults
}
