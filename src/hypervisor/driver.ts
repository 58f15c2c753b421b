/** The form of a monitor's row: what is known of a monitor before there is a VM. @module */
import type { MonitorKind } from "../config/key.ts";
import type { Device } from "./device.ts";
import type { Hypervisor, HypervisorOptions } from "./hypervisor.ts";
import type { TemplateIdentity } from "./template.ts";
import type { MonitorTable, VmConfig } from "./vm_config.ts";

/** Abilities that are asked for before a VM is made; those of a running VM are its facets. */
export interface Capabilities {
  /** Kinds of devices that a VM can start with. */
  devices: readonly Device["kind"][];
}

/** Templates of a monitor: see `template.ts`. */
export interface SnapshotDriver<K extends MonitorKind> {
  /** Why a VM like this can have no template, undefined if it can. */
  obstacle(table: MonitorTable<K>, vm: VmConfig): string | undefined;
  /** Tells the template for a VM like this from all others. */
  identify(table: MonitorTable<K>, vm: VmConfig): TemplateIdentity;
}

/** One kind of monitor. Its rules for the configuration are rows in `config/rules/`. */
export interface MonitorDriver<K extends MonitorKind = MonitorKind> {
  readonly kind: K;
  readonly capabilities: Capabilities;
  /** Makes a VM, which does not run before its `start`. */
  create(table: MonitorTable<K>, vm: VmConfig, options: HypervisorOptions): Hypervisor;
  readonly snapshots?: SnapshotDriver<K>;
}
