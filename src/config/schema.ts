/**
 * The configuration: what its file may say, and what the program sees of it. Names are Kata's, so that one word finds a
 * setting in the file, here and where it is used.
 *
 * Each key is one row in `keys/`, and everything that is known of a key comes from its row: what the file may say
 * (`read.ts`), what pods may change (`annotations.ts`), the shipped file and the page of reference (`document.ts`), and
 * what a command line says of it (`explain.ts`). `load.ts` finds and merges the files; `check.ts` holds the rules between
 * keys and against the host.
 *
 * To add a key with its annotation:
 * 1. Write its row into the table's file in `keys/`, or into `hypervisor_common.ts` if each hypervisor has it.
 * 2. `doc` is what the shipped file and the reference say of it; unit, range and choice stand in fields of their own.
 * 3. Add `annotation: { name: "hypervisor.NAME" }` if a pod may change it; names below `hypervisor.` need the
 *    administrator's leave in `enable_annotations`. Never for what names a program or a file of the host.
 * 4. Read `config.TABLE.NAME` where it counts; its type follows from the row. Until somebody does, it is
 *    `status: "planned"`, and setting it logs a warning. Values that nothing carries out (`plannedValues`) are refused.
 * 5. Does it depend on another key or on the host, write a rule in `check.ts` that names its keys.
 * 6. Run `scripts/generate` (shipped file and reference) and `deno test -A src/config` (rows, readers, ranges).
 *
 * @module
 */
export type {
  AgentConfig,
  CommonConfig,
  Config,
  ConfigFor,
  ConfigOf,
  FactoryConfig,
  HypervisorConfig,
  QemuConfig,
  RuntimeConfig,
} from "./tables.ts";
export { defaultConfig } from "./read.ts";
