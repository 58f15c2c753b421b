/** The names that a file may hold: those of the rows, older ones, and tables that do not count yet. Pure. @module */
import { formatKey, getKey, isTable, moveKey, type Table } from "./table.ts";
import { ALL_TABLES, PLANNED_TABLES } from "./tables.ts";

/** What stands below the names of a table: rows' and tables' own names, the older ones too. */
interface Names {
  [name: string]: Names | "key" | "planned";
}

const RENAMES = ALL_TABLES.flatMap(({ path, keys }) =>
  Object.entries(keys).flatMap(([name, { renamedFrom = [] }]) =>
    renamedFrom.map((from) => [from, `${path}.${name}`] as const)
  )
);

/** Dotted names of all keys, without the older ones. */
export const KEY_NAMES: readonly string[] = ALL_TABLES.flatMap(({ path, keys }) =>
  Object.keys(keys).map((name) => `${path}.${name}`)
);

/** Dotted names of all tables. */
export const TABLE_NAMES: readonly string[] = ALL_TABLES.map(({ path }) => path);

const NAMES = namesOf([
  ...KEY_NAMES.map((name) => [name, "key"] as const),
  ...RENAMES.map(([from]) => [from, "key"] as const),
  ...PLANNED_TABLES.map((name) => [name, "planned"] as const),
]);

function namesOf(paths: readonly (readonly [path: string, kind: "key" | "planned"])[]): Names {
  const names: Names = {};
  for (const [path, kind] of paths) {
    const parts = path.split(".");
    const last = parts.pop()!;
    let at = names;
    for (const part of parts) at = (at[part] ??= {}) as Names;
    at[last] = kind;
  }
  return names;
}

/** What of a file nobody reads. */
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
  const walk = (at: Table, names: Names, path: readonly string[]): void => {
    for (const [name, value] of Object.entries(at)) {
      const known = Object.hasOwn(names, name) ? names[name]! : undefined;
      const here = [...path, name];
      if (known === undefined) unknown.push(here);
      else if (known === "planned") planned.push(formatKey(here));
      else if (known !== "key" && isTable(value)) walk(value, known, here);
    }
  };
  walk(table, NAMES, []);
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
