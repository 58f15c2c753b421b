/** The monitors by name. @module */
import type { Config } from "../config/schema.ts";
import type { Hypervisor, HypervisorOptions } from "./hypervisor.ts";
import { Qemu } from "./qemu/qemu.ts";
import { templateIdentity, whyNoTemplate } from "./qemu/template_machine.ts";
import type { TemplateIdentity } from "./template.ts";

/** Makes the monitor that the configuration names. Nothing runs before its `start`. */
export function createHypervisor(config: Config, options: HypervisorOptions): Hypervisor {
  return MONITORS[config.runtime.hypervisor_name].create(config, options);
}

/**
 * Describes the template for sandboxes of this configuration.
 *
 * @param config With sizes resolved, as `checkConfig` returns it.
 * @throws {Error} The reason why this configuration can have no template.
 */
export function describeTemplate(config: Config): TemplateIdentity {
  const { identify, obstacle } = MONITORS[config.runtime.hypervisor_name];
  const reason = obstacle(config);
  if (reason !== undefined) throw new Error(`Cannot use a template with this configuration: ${reason}`);
  return identify({ config });
}

interface MonitorDriver {
  create(config: Config, options: HypervisorOptions): Hypervisor;
  identify(options: { config: Config }): TemplateIdentity;
  /** Why a configuration can have no template. */
  obstacle(config: Config): string | undefined;
}

const MONITORS = {
  qemu: {
    create: (config, options) => new Qemu(config, options),
    identify: templateIdentity,
    obstacle: (config) => whyNoTemplate(config),
  },
} satisfies Record<Config["runtime"]["hypervisor_name"], MonitorDriver>;
