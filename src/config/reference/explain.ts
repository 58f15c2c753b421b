/** Explains a key of the configuration to people who ask by its name. Pure. @module */
import { KataError } from "../../base/error.ts";
import { quoted } from "../../base/text.ts";
import { ANNOTATION_PREFIX, entries, type Entry, facts } from "./describe.ts";
import { lastPart, nearest } from "../nearest.ts";

/** Facts about a key. */
export interface Explanation {
  /** With its tables. */
  key: string;
  doc: string;
  /** In words; a name may come twice. */
  facts: readonly { name: string; text: string }[];
}

/**
 * Explains a key.
 *
 * @param name With its tables (`runtime.log_level`) or without (`log_level`: the key of each table that has one), an older
 * name of it, or the annotation that changes it, with or without `io.katacontainers.config.`.
 * @throws {KataError} NOT_FOUND, with the nearest name.
 */
export function explanations(name: string): Explanation[] {
  const found = entries().filter((entry) => namesOf(entry).includes(name));
  if (found.length > 0) return found.map(explanation);
  const near = nearest(name, entries().flatMap(namesOf));
  const hint = near === undefined ? "config/README.md lists all" : `nearest is ${near}`;
  throw new KataError("NOT_FOUND", `Cannot explain ${quoted(name)}: no such key, ${hint}`);
}

/**
 * Explains a key to people, as {@linkcode explanations}.
 *
 * @returns Several lines: the dotted name, what the key does, and one line for each fact; an empty line between keys.
 */
export function explain(name: string): string {
  return explanations(name).map(({ key, doc, facts }) =>
    `${key}\n  ${doc}\n${facts.map((fact) => `  ${fact.name}: ${fact.text}\n`).join("")}`
  ).join("\n");
}

function namesOf({ table, name, key }: Entry): string[] {
  const { annotation, renamedFrom = [] } = key;
  const changed = annotation === undefined ? [] : [annotation.name, `${ANNOTATION_PREFIX}${annotation.name}`];
  return [name, `${table.path}.${name}`, ...renamedFrom, ...renamedFrom.map(lastPart), ...changed];
}

function explanation(entry: Entry): Explanation {
  const { table, name, key: { doc } } = entry;
  const known = facts(entry).map(([fact, text]) => ({ name: fact, text: text.replaceAll("`", "") }));
  return { key: `${table.path}.${name}`, doc, facts: known };
}
