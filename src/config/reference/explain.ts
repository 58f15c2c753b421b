/** Explains a key of the configuration to people who ask by its name. Pure. @module */
import { KataError } from "../../base/error.ts";
import { ANNOTATION_PREFIX, entries, type Entry, facts } from "./describe.ts";
import { lastPart, nearest } from "../nearest.ts";

/**
 * Explains a key.
 *
 * @param name With its tables (`runtime.log_level`) or without (`log_level`: the key of each table that has one), an older
 * name of it, or the annotation that changes it, with or without `io.katacontainers.config.`.
 * @returns Several lines: the dotted name, what the key does, and one line for each fact; an empty line between keys.
 * @throws {KataError} NOT_FOUND, with the nearest name.
 */
export function explain(name: string): string {
  const found = entries().filter((entry) => namesOf(entry).includes(name));
  if (found.length > 0) return found.map(explanation).join("\n");
  const near = nearest(name, entries().flatMap(namesOf));
  const hint = near === undefined ? "config/README.md lists all" : `nearest is ${near}`;
  throw new KataError("NOT_FOUND", `Cannot explain "${name}": no such key, ${hint}`);
}

function namesOf({ table, name, key }: Entry): string[] {
  const { annotation, renamedFrom = [] } = key;
  const changed = annotation === undefined ? [] : [annotation.name, `${ANNOTATION_PREFIX}${annotation.name}`];
  return [name, `${table.path}.${name}`, ...renamedFrom, ...renamedFrom.map(lastPart), ...changed];
}

function explanation(entry: Entry): string {
  const { table, name, key } = entry;
  const lines = facts(entry).map(([fact, text]) => `  ${fact}: ${text.replaceAll("`", "")}\n`);
  return `${table.path}.${name}\n  ${key.doc}\n${lines.join("")}`;
}
