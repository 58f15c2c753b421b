/** Changes of a pod to the configuration by annotations: of each key whose row has one. @module */
import { KataError } from "../base/error.ts";
import { quoted } from "../base/text.ts";
import type { Key, Keys } from "./key.ts";
import { readValue } from "./read.ts";
import { type Config, HYPERVISORS, tableOf, TABLES } from "./tables.ts";

const PREFIX = "io.katacontainers.config.";
const HYPERVISOR_PREFIX = `${PREFIX}hypervisor.`;

/** A key of a configuration that pods may change. */
interface Target {
  table: keyof Config;
  name: string;
}

/** By name after `io.katacontainers.config.`. */
const TARGETS: ReadonlyMap<string, Target> = targets();

function targets(): Map<string, Target> {
  const found = new Map<string, Target>();
  const add = (table: keyof Config, keys: Keys) => {
    for (const name in keys) {
      const annotation = keys[name]!.annotation;
      if (annotation !== undefined) found.set(annotation.name, { table, name });
    }
  };
  for (const { keys } of Object.values(HYPERVISORS)) add("hypervisor", keys);
  for (const table of ["agent", "runtime", "factory"] as const) add(table, TABLES[table].keys);
  return found;
}

/**
 * The configuration with a pod's annotations applied. Run `checkConfig` afterwards.
 *
 * @returns A new configuration, and one line per annotation of ours that is unknown, for the log.
 * @throws {KataError} INVALID_ARGUMENT for a value that cannot be read, PERMISSION_DENIED for a key that the
 * configuration's `enable_annotations` does not allow.
 */
export function applyAnnotations(
  config: Config,
  annotations: Readonly<Record<string, string>>,
): { config: Config; warnings: readonly string[] } {
  const changed = structuredClone(config);
  const warnings: string[] = [];
  const ours = Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX));
  for (const [annotation, text] of ours) {
    const target = TARGETS.get(annotation.slice(PREFIX.length));
    const { path, keys } = tableOf(config, target?.table ?? "runtime");
    const key = target && keys[target.name];
    if (target === undefined || key === undefined) {
      warnings.push(`Unknown annotation ${quoted(annotation)} has no effect`);
      continue;
    }
    requireEnabled(annotation, config.hypervisor.enable_annotations);
    const values: Record<string, unknown> = changed[target.table];
    try {
      const value = readValue(boundedForPods(key), parseText(key, text), `${path}.${target.name}`);
      values[target.name] = key.annotation?.apply === "append" ? `${values[target.name]} ${value}`.trim() : value;
    } catch (cause) {
      throw new KataError("INVALID_ARGUMENT", `Cannot use annotation ${annotation} ${quoted(text)}`, { cause });
    }
  }
  return { config: changed, warnings };
}

function requireEnabled(key: string, enabled: readonly string[]): void {
  if (!key.startsWith(HYPERVISOR_PREFIX)) return;
  const name = key.slice(HYPERVISOR_PREFIX.length);
  if (enabled.some((expression) => new RegExp(`^(?:${expression})$`).test(name))) return;
  throw new KataError(
    "PERMISSION_DENIED",
    `Cannot use annotation ${key}: enable_annotations does not list ${quoted(name)}`,
  );
}

/** Parses an annotation's text as the key's type; returns the text itself if it is none, for the error of the check. */
function parseText({ type }: Key, text: string): unknown {
  switch (type) {
    case "boolean":
      return text === "true" || text === "false" ? text === "true" : text;
    case "integer":
    case "number":
      return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
    case "texts":
      return text.split(";").map((part) => part.trim()).filter((part) => part !== "");
    case "choice":
    case "text":
      return text;
  }
}

function boundedForPods(key: Key): Key {
  const isNumber = key.type === "integer" || key.type === "number";
  const min = key.annotation?.min;
  return isNumber && min !== undefined ? { ...key, min } : key;
}
