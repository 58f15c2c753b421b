/** Changes of a pod to the configuration by annotations: of each key whose row has one. @module */
import { KataError } from "../base/error.ts";
import { quoted } from "../base/text.ts";
import type { Key, Keys, KeyTable } from "./key.ts";
import { readValue } from "./read.ts";
import { type Config, HYPERVISORS, tableOf, TABLES } from "./tables.ts";

const OURS = "io.katacontainers.";
const PREFIX = `${OURS}config.`;
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

/** Annotations of ours that are no setting: the shim reads them elsewhere, or writes them itself. */
const OTHERS = /^io\.katacontainers\.(config_path$|pkg\.oci\.)/;

/**
 * Refuses annotations of ours that change nothing. Kata warns of them in its log and goes on; but whoever writes one asks
 * for something, such as initial data that a machine shall be measured with, and would take the pod for what it is not.
 * Values are not looked at: a pod's settings are in the annotations of each of its containers, too.
 *
 * @throws {KataError} UNIMPLEMENTED, or PERMISSION_DENIED where only the configuration sets such a key.
 */
export function refuseUnknown(annotations: Readonly<Record<string, string>> = {}): void {
  for (const name of Object.keys(annotations)) {
    if (!name.startsWith(OURS) || OTHERS.test(name)) continue;
    if (!name.startsWith(PREFIX) || !TARGETS.has(name.slice(PREFIX.length))) throw unknown(name);
  }
}

function unknown(name: string): KataError {
  const [table = "", ...rest] = name.startsWith(PREFIX) ? name.slice(PREFIX.length).split(".") : [];
  const tables: readonly KeyTable[] = table === "hypervisor"
    ? Object.values(HYPERVISORS)
    : Object.hasOwn(TABLES, table)
    ? [TABLES[table as keyof typeof TABLES]]
    : [];
  const owner = tables.find(({ keys }) => Object.hasOwn(keys, rest.join(".")));
  const cannot = `Cannot use annotation ${quoted(name)}`;
  if (owner === undefined) {
    return new KataError("UNIMPLEMENTED", `${cannot}: it changes nothing here; config/README.md lists those that do`);
  }
  const key = `${owner.path}.${rest.join(".")}`;
  return owner.keys[rest.join(".")]!.status === "planned"
    ? new KataError("UNIMPLEMENTED", `${cannot}: ${key} is not supported yet`)
    : new KataError("PERMISSION_DENIED", `${cannot}: only the configuration sets ${key}`);
}

/**
 * The configuration with a pod's annotations applied. Run `checkConfig` afterwards.
 *
 * @returns A new configuration.
 * @throws {KataError} INVALID_ARGUMENT for a value that cannot be read, PERMISSION_DENIED for a key that the
 * configuration's `enable_annotations` does not allow; as {@linkcode refuseUnknown}.
 */
export function applyAnnotations(config: Config, annotations: Readonly<Record<string, string>>): Config {
  refuseUnknown(annotations);
  const changed = structuredClone(config);
  const ours = Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX));
  for (const [annotation, text] of ours) {
    const target = TARGETS.get(annotation.slice(PREFIX.length));
    const { path, keys } = tableOf(config, target?.table ?? "runtime");
    const key = target && keys[target.name];
    // A key of another hypervisor's table.
    if (target === undefined || key === undefined) throw unknown(annotation);
    requireEnabled(annotation, config.hypervisor.enable_annotations);
    const values: Record<string, unknown> = changed[target.table];
    try {
      const value = readValue(boundedForPods(key), parseText(key, text), `${path}.${target.name}`);
      values[target.name] = key.annotation?.apply === "append" ? `${values[target.name]} ${value}`.trim() : value;
    } catch (cause) {
      throw new KataError("INVALID_ARGUMENT", `Cannot use annotation ${annotation} ${quoted(text)}`, { cause });
    }
  }
  return changed;
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
