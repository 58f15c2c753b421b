/** The monitors by their kind, and making a VM of one. @module */
import { KataError } from "../base/error.ts";
import type { MonitorKind } from "../config/key.ts";
import type { ConfigOf } from "../config/schema.ts";
import type { MonitorDriver } from "./driver.ts";
import type { Hypervisor, HypervisorOptions } from "./hypervisor.ts";
import { QEMU_DRIVER } from "./qemu/driver.ts";
import type { TemplateIdentity } from "./template.ts";
import type { VmConfig } from "./vm_config.ts";

const DRIVERS: { readonly [K in MonitorKind]: MonitorDriver<K> } = { qemu: QEMU_DRIVER };

/**
 * Makes a VM of the monitor whose table this is. Nothing runs before its `start`.
 *
 * @throws {KataError} UNIMPLEMENTED: the monitor lacks what the VM needs from its start.
 */
export function createHypervisor<K extends MonitorKind>(
  config: ConfigOf<K>,
  vm: VmConfig,
  options: HypervisorOptions,
): Hypervisor {
  const driver = DRIVERS[config.kind];
  requireAbilities(driver, { vm, options });
  return driver.create(config, vm, options);
}

/**
 * Describes the template for a VM.
 *
 * @throws {Error} The reason why there can be none.
 */
export function describeTemplate<K extends MonitorKind>(config: ConfigOf<K>, vm: VmConfig): TemplateIdentity {
  const { snapshots } = DRIVERS[config.kind];
  const reason = snapshots === undefined ? lacksTemplates(config) : snapshots.obstacle(config, vm);
  if (reason !== undefined) throw new Error(`Cannot use a template with this configuration: ${reason}`);
  return snapshots!.identify(config, vm);
}

/** Refuses, by the monitor's name, what it cannot give a VM. */
export function requireAbilities(
  driver: Pick<MonitorDriver, "capabilities" | "snapshots"> & { kind: string },
  { vm, options }: { vm: Pick<VmConfig, "devices">; options: HypervisorOptions },
): void {
  const { kind, capabilities: { devices } } = driver;
  const foreign = vm.devices.find((device) => !devices.includes(device.kind));
  if (foreign !== undefined) {
    const what = `Cannot give a VM ${foreign.kind} "${foreign.id}"`;
    throw new KataError("UNIMPLEMENTED", `${what}: monitor "${kind}" has no such device`);
  }
  if (options.template !== undefined && driver.snapshots === undefined) {
    throw new KataError("UNIMPLEMENTED", `Cannot use a template (enable_template): ${lacksTemplates(driver)}`);
  }
}

function lacksTemplates({ kind }: { kind: string }): string {
  return `monitor "${kind}" has none`;
}
