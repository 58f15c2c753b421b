/** All tables of the configuration, and what the program sees of them. @module */
import { AGENT } from "./keys/agent.ts";
import { FACTORY } from "./keys/factory.ts";
import type { HYPERVISOR_COMMON } from "./keys/hypervisor_common.ts";
import { QEMU } from "./keys/qemu.ts";
import { RUNTIME } from "./keys/runtime.ts";
import type { KeyTable, MonitorKind, ValuesOf } from "./key.ts";

/** One per hypervisor: `runtime.hypervisor_name` chooses among them. */
export const HYPERVISORS = { qemu: QEMU } as const satisfies Record<MonitorKind, KeyTable>;

/** The tables that count whatever the hypervisor, by their names in a {@linkcode Config}. */
export const TABLES = { agent: AGENT, runtime: RUNTIME, factory: FACTORY } as const satisfies Record<string, KeyTable>;

/** In the order of the shipped file. */
export const ALL_TABLES: readonly KeyTable[] = [...Object.values(HYPERVISORS), ...Object.values(TABLES)];

/** Tables of hypervisors that Kata has and we do not have yet. A file may hold them beside the table that counts. */
export const PLANNED_TABLES: readonly string[] = ["clh", "cloud-hypervisor", "firecracker", "remote"].map((name) =>
  `hypervisor.${name}`
);

/** `[hypervisor.KIND]` as checked and with its defaults, and which one it is. */
export type ConfigOf<K extends MonitorKind> = { kind: K } & ValuesOf<typeof HYPERVISORS[K]["keys"]>;
/** The table of the hypervisor that the configuration chose: narrow it by `kind`. */
export type HypervisorConfig = { [K in MonitorKind]: ConfigOf<K> }[MonitorKind];
/** Keys that each hypervisor's table has. */
export type CommonConfig = ValuesOf<typeof HYPERVISOR_COMMON>;
/** `[hypervisor.qemu]` as checked and with its defaults. */
export type QemuConfig = ConfigOf<"qemu">;
/** `[agent.kata]` as checked and with its defaults. */
export type AgentConfig = ValuesOf<typeof AGENT.keys>;
/** `[runtime]` as checked and with its defaults. */
export type RuntimeConfig = ValuesOf<typeof RUNTIME.keys>;
/** `[factory]` as checked and with its defaults. */
export type FactoryConfig = ValuesOf<typeof FACTORY.keys>;

/** The configuration as the program reads it, after `loadConfig`. */
export interface Config {
  hypervisor: HypervisorConfig;
  agent: AgentConfig;
  runtime: RuntimeConfig;
  factory: FactoryConfig;
}

/** A configuration with the table of one hypervisor, or of any of several. */
export type ConfigFor<K extends MonitorKind> = Omit<Config, "hypervisor"> & {
  hypervisor: Extract<HypervisorConfig, { kind: K }>;
};

/** The table of the file that a table of the configuration comes from. */
export function tableOf(config: Pick<Config, "hypervisor">, name: keyof Config): KeyTable {
  return name === "hypervisor" ? HYPERVISORS[config.hypervisor.kind] : TABLES[name];
}
