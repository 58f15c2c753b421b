/** Holding a configuration to the rules between its keys and against the host, which are rows in `rules/`. @module */
import { KataError } from "../base/error.ts";
import { distrust } from "../linux/fs/trusted.ts";
import type { MonitorKind } from "./key.ts";
import { COMMON_RULES } from "./rules/common.ts";
import { QEMU_RULES } from "./rules/qemu.ts";
import type { HostFacts, Rule } from "./rules/rule.ts";
import { readHostSize } from "./sizes.ts";
import { type Config, type ConfigFor, tableOf, TABLES } from "./tables.ts";

export type { HostFacts } from "./rules/rule.ts";

/** Rules of one hypervisor each. */
const MONITOR_RULES: { readonly [K in MonitorKind]: readonly Rule<K>[] } = { qemu: QEMU_RULES };

/** The rules that hold for a hypervisor. */
export function rulesFor<K extends MonitorKind>(kind: K): readonly Rule<K>[] {
  return [...MONITOR_RULES[kind], ...COMMON_RULES as readonly Rule<K>[]];
}

/**
 * Applies all rules. Once for each configuration, when nothing changes it any more.
 *
 * @throws {KataError} INVALID_ARGUMENT: one line with every rule that is broken, naming keys and files (B46).
 */
export function checkConfig(config: Config, host: HostFacts = readHostFacts()): void {
  const problems = problemsOf(config, config.hypervisor.kind, host);
  if (problems.length === 0) return;
  throw new KataError("INVALID_ARGUMENT", `Cannot use the configuration: ${problems.join("; ")}`);
}

function problemsOf<K extends MonitorKind>(config: Config, kind: K, host: HostFacts): readonly string[] {
  const narrowed = config as ConfigFor<K>; // `kind` is its own
  return rulesFor(kind).map(({ check }) => check(narrowed, host)).filter((problem) => problem !== undefined);
}

/** One line per key that is set to something and that nobody reads yet, for the log. */
export function warnOfPlanned(config: Config): string[] {
  const tables = ["hypervisor", ...Object.keys(TABLES)] as (keyof Config)[];
  return tables.flatMap((table) => {
    const { path, keys } = tableOf(config, table);
    const values: Readonly<Record<string, unknown>> = config[table];
    const asked = Object.entries(keys).filter(([name, key]) =>
      key.status === "planned" && String(values[name]) !== String(key.default)
    );
    return asked.map(([name]) => `Setting ${path}.${name} has no effect: it is not supported yet`);
  });
}

/** Reads the facts of this machine. */
export function readHostFacts(): HostFacts {
  return { ...readHostSize(), fileProblem, programProblem: distrust };
}

function fileProblem(path: string): string | undefined {
  try {
    Deno.openSync(path).close();
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}
