/** Making a sandbox's VM of what the sandbox has on the host. @module */
import { createHypervisor } from "../../hypervisor/create.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import type { SandboxResources } from "../../resources/sandbox_resources.ts";
import type { SandboxOptions } from "../options.ts";
import { vmConfigOf } from "./vm_config.ts";

/**
 * Makes the machine, which does not run yet.
 *
 * @param runDir Where its sockets and pid files go.
 */
export function makeMachine(
  { size, devices, netns, cgroups }: Pick<SandboxResources, "size" | "devices" | "netns" | "cgroups">,
  options: Pick<SandboxOptions, "id" | "config" | "log" | "makeHypervisor"> & { runDir: string },
): Hypervisor {
  const { id, config, log, runDir, makeHypervisor = createHypervisor } = options;
  const { enable_template: usesTemplate, template_path: root } = config.factory;
  const vm = vmConfigOf(config, { size, devices, netns, cgroupProcs: cgroups?.procsFiles });
  return makeHypervisor(config.hypervisor, vm, {
    ...{ id, runDir, log },
    ...(usesTemplate && { template: { kind: "use", root } }),
  });
}
