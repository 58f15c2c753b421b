/** The monitors by name. @module */
import type { Config } from "../config/schema.ts";
import type { Hypervisor, HypervisorOptions } from "./hypervisor.ts";
import { Qemu } from "./qemu/qemu.ts";

/** Makes the monitor that the configuration names. Nothing runs before its `start`. */
export function createHypervisor(config: Config, options: HypervisorOptions): Hypervisor {
  return MONITORS[config.runtime.hypervisor_name](config, options);
}

const MONITORS = {
  qemu: (config, options) => new Qemu(config, options),
} satisfies Record<Config["runtime"]["hypervisor_name"], (config: Config, options: HypervisorOptions) => Hypervisor>;
