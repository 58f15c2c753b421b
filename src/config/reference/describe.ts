/** Puts a row into words: for the shipped files, the reference and `explain`. Pure. @module */
import { rulesFor } from "../check.ts";
import type { Key, KeyTable, MonitorKind } from "../key.ts";
import { ALL_TABLES, HYPERVISORS, TABLES } from "../tables.ts";

/** A key, with the table of the file that it stands in. */
export interface Entry {
  table: KeyTable;
  name: string;
  key: Key;
}

export const ANNOTATION_PREFIX = "io.katacontainers.config.";

/** All keys, in the order of the shipped file. */
export function entries(tables: readonly KeyTable[] = ALL_TABLES): readonly Entry[] {
  return tables.flatMap((table) => Object.entries(table.keys).map(([name, key]) => ({ table, name, key })));
}

/** As TOML writes it. */
export function tomlValue(value: Key["default"]): string {
  return typeof value === "object"
    ? `[${value.map((part) => JSON.stringify(part)).join(", ")}]`
    : JSON.stringify(value);
}

const UNITS = { MiB: "MiB", ms: "milliseconds", s: "seconds", vCPUs: "vCPUs" } as const;

function listed(values: readonly string[]): string {
  return values.map(tomlValue).join(", ");
}

/** Unit and range, or the words that may stand there; empty if any value of the type is right. */
export function valuesText(key: Key): string {
  if (key.type === "choice") return `${key.values.length === 1 ? "There is only" : "One of"} ${listed(key.values)}.`;
  if (key.type !== "integer" && key.type !== "number") return "";
  const { unit, min, max } = key;
  const range = min === undefined ? "" : max === undefined ? `at least ${min}` : `from ${min} to ${max}`;
  const words = [unit && `in ${UNITS[unit]}`, range].filter(Boolean).join(", ");
  return words === "" ? "" : `${words[0]!.toUpperCase()}${words.slice(1)}.`;
}

/** Names the parts of a key that are not supported yet; empty if all are. */
export function plannedText(key: Key): string {
  if (key.status === "planned") return "Not supported yet: it has no effect, as a warning in the log says.";
  const planned = key.type === "choice" ? key.plannedValues ?? [] : [];
  return planned.length === 0 ? "" : `Not supported yet, hence refused: ${listed(planned)}.`;
}

const TYPES: Readonly<Record<Key["type"], string>> = {
  boolean: "boolean",
  integer: "integer",
  number: "integer or float",
  text: "string",
  texts: "array of strings",
  choice: "string",
};

/** Name and text of each thing that is to be known of a key besides its `doc`. */
export function facts({ table, name, key }: Entry): readonly (readonly [name: string, text: string])[] {
  const { annotation, renamedFrom = [] } = key;
  const isGated = annotation?.name.startsWith("hypervisor.");
  const values = key.type === "choice" ? Object.entries(key.renamedValues ?? {}) : [];
  const all: [string, string][] = [
    ["Type", [TYPES[key.type], valuesText(key)].filter(Boolean).join(". ")],
    ["Default", `\`${tomlValue(key.default)}\``],
    ["Shipped file", key.shipped === undefined ? "" : `\`${tomlValue(key.shipped)}\``],
    ["Status", plannedText(key)],
    [
      "Annotation",
      annotation === undefined ? "" : `\`${ANNOTATION_PREFIX}${annotation.name}\`` +
        (annotation.apply === "append" ? ", added to what the file says" : "") +
        (annotation.min === undefined ? "" : `, at least ${annotation.min}`) +
        (isGated ? ", if `enable_annotations` lists it" : ""),
    ],
    ["Hypervisors", monitorsOf({ table, name, key })],
    ["Older names", renamedFrom.map((from) => `\`${from}\``).join(", ")],
    ["Older values", values.map(([from, to]) => `\`${from}\` for \`${to}\``).join(", ")],
    ...rulesOf({ table, name, key }).map((rule): [string, string] => ["Rule", rule]),
    ["Origin", key.ours ? "Kata has no such key." : ""],
  ];
  return all.filter(([, text]) => text !== "");
}

/** Names the hypervisors that have a key; empty for a key of another table. */
function monitorsOf({ table, name, key }: Entry): string {
  if (table.monitor === undefined) return "";
  const having = Object.entries(HYPERVISORS).filter(([, { keys }]) => (keys as KeyTable["keys"])[name] === key);
  return having.map(([kind]) => kind).join(", ");
}

function rulesOf({ table, name }: Entry): string[] {
  const property = table.monitor !== undefined
    ? "hypervisor"
    : Object.entries(TABLES).find(([, { path }]) => path === table.path)?.[0];
  const monitors = Object.keys(HYPERVISORS) as MonitorKind[];
  const ours = table.monitor === undefined ? monitors : [table.monitor];
  const rules = [...new Set(ours.flatMap((kind) => rulesFor(kind)))].filter(({ keys }) =>
    keys.some((key) => key === `${property}.${name}`)
  );
  return rules.map(({ keys, says }) => {
    const others = keys.filter((key) => key !== `${property}.${name}`).map((key) => `\`${key.split(".")[1]}\``);
    return others.length === 0 ? says : `${says} It concerns ${others.join(", ")} too.`;
  });
}
