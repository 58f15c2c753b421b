/** Making a sandbox's VM of what the sandbox has on the host. @module */
import { createHypervisor } from "../../hypervisor/create.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import type { SandboxResources } from "../../resources/sandbox_resources.ts";
import type { SandboxOptions } from "../options.ts";

/**
 * Makes the machine, which does not run yet.
 *
 * @param runDir Where its sockets and pid files go.
 */
export function makeMachine(
  host: Pick<SandboxResources, "config" | "devices" | "netns" | "cgroups">,
  options: Pick<SandboxOptions, "id" | "log" | "makeHypervisor"> & { runDir: string },
): Hypervisor {
  const { config, devices, netns, cgroups } = host;
  const { id, log, runDir, makeHypervisor = createHypervisor } = options;
  return makeHypervisor(config, {
    id,
    runDir,
    log,
    devices,
    ...(config.factory.enable_template && { template: { kind: "use", root: config.factory.template_path } }),
    ...(netns !== undefined && { netns }),
    ...(cgroups !== undefined && { cgroupProcs: cgroups.procsFiles }),
  });
}
