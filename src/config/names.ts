/** The names that a file may hold: those of the rows, older ones, and tables that do not count yet. Pure. @module */
import type { Keys } from "./key.ts";
import { formatKey, getKey, isTable, moveKey, type Table } from "./table.ts";
import { ALL_TABLES, PLANNED_TABLES } from "./tables.ts";

/** Contents that a table of a file may have. */
interface KnownTable {
  keys: Keys;
  /** Older names of keys, which are elsewhere now. */
  older: Set<string>;
  tables: Map<string, KnownTable>;
  /** The table has no effect yet. */
  isPlanned?: true;
}

/** Older dotted names, and today's. */
const RENAMES: readonly (readonly [from: string, to: string])[] = renames();
const ROOT = knownTables();

// Plain loops: this runs at each start of a program, once and uncompiled.
function renames(): [string, string][] {
  const found: [string, string][] = [];
  for (const { path, keys } of ALL_TABLES) {
    for (const name in keys) {
      for (const from of keys[name]!.renamedFrom ?? []) found.push([from, `${path}.${name}`]);
    }
  }
  return found;
}

function knownTables(): KnownTable {
  const root: KnownTable = { keys: {}, older: new Set(), tables: new Map() };
  for (const { path, keys } of ALL_TABLES) tableAt(root, path.split(".")).keys = keys;
  for (const path of PLANNED_TABLES) tableAt(root, path.split(".")).isPlanned = true;
  for (const [from] of RENAMES) {
    const path = from.split(".");
    const name = path.pop()!;
    tableAt(root, path).older.add(name);
  }
  return root;
}

/** Made if need be. */
function tableAt(root: KnownTable, path: readonly string[]): KnownTable {
  let at = root;
  for (const name of path) {
    const next = at.tables.get(name) ?? { keys: {}, older: new Set(), tables: new Map() };
    at.tables.set(name, next);
    at = next;
  }
  return at;
}

/** Dotted names of all keys and tables, without the older ones. */
export function knownNames(): readonly string[] {
  return ALL_TABLES.flatMap(({ path, keys }) => [path, ...Object.keys(keys).map((name) => `${path}.${name}`)]);
}

/** Keys and tables of a file that have no effect. */
export interface Unread {
  /** Paths of keys and tables that no row has. */
  unknown: readonly (readonly string[])[];
  /** Dotted paths of tables that count once their hypervisor is there. */
  planned: readonly string[];
}

/** @param table A file's, before {@linkcode renameKeys}. */
export function unreadOf(table: Table): Unread {
  const unknown: string[][] = [];
  const planned: string[] = [];
  const walk = (at: Table, here: KnownTable, path: readonly string[]): void => {
    for (const name of Object.keys(at)) {
      if (Object.hasOwn(here.keys, name) || here.older.has(name)) continue;
      const [value, known, below] = [at[name], here.tables.get(name), [...path, name]];
      if (known === undefined) unknown.push(below);
      else if (known.isPlanned) planned.push(formatKey(below));
      else if (isTable(value)) walk(value, known, below);
    }
  };
  walk(table, ROOT, []);
  return { unknown, planned };
}

/** Older names, and those of Kata's other runtime, become ours, in place. */
export function renameKeys(table: Table): void {
  for (const [from, to] of RENAMES) if (getKey(table, from) !== undefined) moveKey(table, from, to);
}

/** Where a file may set a key: by its name, then by the older ones. */
export function spellings(key: string): readonly string[] {
  return [key, ...RENAMES.filter(([, to]) => to === key).map(([from]) => from)];
}
