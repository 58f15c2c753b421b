/** From tables of TOML to a configuration: each key's value as its row allows it, or its default. Pure. @module */
import { quoted } from "../base/text.ts";
import type { Key, Keys, KeyTable, MonitorKind, ValuesOf } from "./key.ts";
import { isTable, type Table } from "./table.ts";
import { type Config, type ConfigFor, type HypervisorConfig, HYPERVISORS, TABLES } from "./tables.ts";

/** A value that a key, or a table, cannot have. */
export class ValueError extends Error {
  override readonly name = "ValueError";

  /** @param key Dotted, as in the file. */
  constructor(readonly key: string, message: string) {
    super(message);
  }
}

/** @throws {ValueError} The first value that its row does not allow. */
export function toConfig(file: Table): Config {
  const runtime = readTable(TABLES.runtime, file);
  return {
    hypervisor: readHypervisor(runtime.hypervisor_name, file),
    agent: readTable(TABLES.agent, file),
    runtime,
    factory: readTable(TABLES.factory, file),
  };
}

function readHypervisor(kind: MonitorKind, file: Table): HypervisorConfig {
  return { kind, ...readTable<Keys>(HYPERVISORS[kind], file) } as HypervisorConfig;
}

/** A configuration with nothing but defaults, of which the hypervisor is one. */
export function defaultConfig(): ConfigFor<"qemu"> {
  return toConfig({}) as ConfigFor<"qemu">;
}

function readTable<T extends Keys>({ path, keys }: KeyTable<T>, file: Table): ValuesOf<T> {
  const table = tableAt(file, path);
  const values: Record<string, unknown> = {};
  for (const name in keys) {
    const given = Object.hasOwn(table, name) ? table[name] : undefined;
    const key = keys[name]!;
    values[name] = given === undefined ? ownCopy(key.default) : readValue(key, given, `${path}.${name}`);
  }
  return values as ValuesOf<T>;
}

/** A list of its own for each configuration. */
function ownCopy(value: Key["default"]): unknown {
  return typeof value === "object" ? [...value] : value;
}

function tableAt(file: Table, path: string): Table {
  let [at, key]: [Table, string] = [file, ""];
  for (const part of path.split(".")) {
    const next = Object.hasOwn(at, part) ? at[part] : {};
    key = key === "" ? part : `${key}.${part}`;
    if (!isTable(next)) throw new ValueError(key, `${key} must be Object, but is ${show(next)}`);
    at = next;
  }
  return at;
}

/**
 * The value of a key as the program shall see it.
 *
 * @param name Of the key, for the message.
 * @throws {ValueError} The row does not allow it, or nothing carries it out yet.
 */
export function readValue(key: Key, given: unknown, name: string): boolean | number | string | string[] {
  const value = key.type === "choice" ? renamed(given, key.renamedValues) : given;
  if (key.type === "choice" && key.plannedValues?.some((planned) => planned === value)) {
    throw new ValueError(name, `${name} ${show(value)} is not supported yet: it must be ${oneOf(key.values)}`);
  }
  const wrong = Array.isArray(value) && key.type === "texts" ? value.findIndex((part) => typeof part !== "string") : -1;
  if (wrong >= 0) {
    throw new ValueError(name, `${name}.${wrong} must be string, but is ${show(Reflect.get(value as object, wrong))}`);
  }
  const expected = expectation(key, value);
  if (expected !== undefined) throw new ValueError(name, `${name} must be ${expected}, but is ${show(given)}`);
  return value as boolean | number | string | string[];
}

function renamed(value: unknown, names: Readonly<Record<string, string>> = {}): unknown {
  return typeof value === "string" && Object.hasOwn(names, value) ? names[value] : value;
}

/** Names the type or range that a value violates; undefined if it is valid. */
function expectation(key: Key, value: unknown): string | undefined {
  switch (key.type) {
    case "boolean":
      return typeof value === "boolean" ? undefined : "boolean";
    case "text":
      return typeof value === "string" ? undefined : "string";
    case "texts":
      return Array.isArray(value) ? undefined : "Array";
    case "choice":
      return key.values.some((choice) => choice === value) ? undefined : oneOf(key.values);
    case "integer":
    case "number":
      return numberExpectation(key, value);
  }
}

function numberExpectation(
  { type, min = -Infinity, max = Infinity }: Extract<Key, { type: "integer" | "number" }>,
  value: unknown,
): string | undefined {
  if (typeof value !== "number" || !Number.isFinite(value)) return "number";
  if (type === "integer" && !Number.isSafeInteger(value)) return "integer";
  if (value < min) return `>=${min}`;
  return value > max ? `<=${max}` : undefined;
}

function oneOf(values: readonly string[]): string {
  const words = values.map((value) => `"${value}"`).join(" | ");
  return values.length === 1 ? words : `(${words})`;
}

/** In one line, whatever it holds. */
function show(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "Array" : isTable(value) ? "Object" : "Date";
}
