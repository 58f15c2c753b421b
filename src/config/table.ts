/** Nested tables as TOML gives them, addressed by dotted keys. Pure. @module */
import { quoted } from "../base/text.ts";

export type Table = Record<string, unknown>;

/** `over` laid upon `base`: tables merge key by key, anything else is replaced. Neither is changed. */
export function mergeTables(base: Table, over: Table): Table {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    merged[key] = isTable(before) && isTable(value) ? mergeTables(before, value) : value;
  }
  return merged;
}

/** The value at a dotted key. */
export function getKey(table: Table, key: string): unknown {
  let at: unknown = table;
  for (const name of key.split(".")) at = isTable(at) || Array.isArray(at) ? Reflect.get(at, name) : undefined;
  return at;
}

/** Dotted keys of all values that are not tables themselves. */
export function keyPaths(table: Table, prefix = ""): string[] {
  return Object.entries(table).flatMap(([key, value]) =>
    isTable(value) ? keyPaths(value, `${prefix}${key}.`) : [`${prefix}${key}`]
  );
}

/** The dotted name of a path, with quotes where TOML needs them. */
export function formatKey(path: readonly string[]): string {
  return path.map((name) => /^[A-Za-z0-9_-]+$/.test(name) ? name : quoted(name)).join(".");
}

/** Renames a key in place; a value that the new name already has stays. */
export function moveKey(table: Table, from: string, to: string): void {
  const value = getKey(table, from);
  if (value === undefined) return;
  const [source, sourceName] = parentOf(table, from);
  delete source[sourceName];
  const [target, targetName] = parentOf(table, to);
  target[targetName] ??= value;
}

/** The table that holds a dotted key, made if need be, and the key's last name. */
function parentOf(table: Table, key: string): [Table, string] {
  const path = key.split(".");
  const name = path.pop() ?? "";
  let at = table;
  for (const above of path) {
    const next = at[above];
    if (isTable(next)) at = next;
    else at = at[above] = {};
  }
  return [at, name];
}

export function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
