/** Reading the configuration file and its drop-ins. @module */
import { parse as parseToml, TomlError } from "smol-toml";
import { KataError } from "../base/error.ts";
import type { TrustedFile } from "../linux/fs/trusted.ts";
import { open, openConfig, type Places, unreadable } from "./places.ts";
import { locate } from "./locate.ts";
import { knownNames, renameKeys, spellings, unreadOf } from "./names.ts";
import { nearest } from "./nearest.ts";
import { toConfig, ValueError } from "./read.ts";
import { formatKey, getKey, mergeTables, type Table } from "./table.ts";
import type { Config } from "./tables.ts";

export interface LoadedConfig {
  config: Config;
  /** The full path of the file that was used. */
  path: string;
  /** Settings in the files that have no effect yet: one line each, for the log. */
  warnings: readonly string[];
}

/** One file, for messages that name it and the place in it. */
interface Source {
  path: string;
  text: string;
  /** With today's names. */
  table: Table;
  warnings: readonly string[];
}

/**
 * Reads the configuration (B51) and its drop-ins, `config.d/*.toml` beside it, sorted by name. Tables merge key by key;
 * anything else is replaced.
 *
 * @throws {KataError} NOT_FOUND, INVALID_ARGUMENT, or PERMISSION_DENIED if others than the administrator can change a file
 * of it: one line that names the file, and where in it.
 */
export function loadConfig(places: Places = {}): LoadedConfig {
  using file = openConfig(places);
  const { path } = file;
  const sources = [readSource(file), ...dropIns(path)];
  const merged = sources.map(({ table }) => table).reduce(mergeTables, {});
  return { config: configOf(merged, sources), path, warnings: sources.flatMap(({ warnings }) => warnings) };
}

function configOf(merged: Table, sources: readonly Source[]): Config {
  try {
    return toConfig(merged);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new KataError("INVALID_ARGUMENT", `Cannot use "${originOf(error.key, sources)}": ${error.message}`);
  }
}

function dropIns(path: string): readonly Source[] {
  const dropIns = `${path.slice(0, path.lastIndexOf("/"))}/config.d`;
  using directory = open(dropIns);
  if (directory === undefined) return [];
  return namesIn(directory).map((name) => {
    using file = open(`${dropIns}/${name}`);
    if (file === undefined) throw unreadable(`${dropIns}/${name}`, "ENOENT");
    return readSource(file);
  });
}

function namesIn({ path, seen }: TrustedFile): readonly string[] {
  try {
    const entries = [...Deno.readDirSync(seen)].filter(({ name, isDirectory }) =>
      name.endsWith(".toml") && !isDirectory
    );
    return entries.map(({ name }) => name).sort();
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function readSource({ path, seen }: TrustedFile): Source {
  const text = readText(path, seen);
  const table = parseFile(path, text);
  const { unknown, planned } = unreadOf(table);
  if (unknown.length > 0) throw unknownKeys(unknown, { path, text });
  const warnings = planned.map((name) => `Table ${name} in "${path}" has no effect: it is not supported yet`);
  renameKeys(table);
  return { path, text, table, warnings };
}

/** A device or a FIFO would not end, or do something. */
function readText(path: string, seen: string): string {
  try {
    const { isFile, isDirectory } = Deno.statSync(seen);
    if (!isFile && !isDirectory) throw new TypeError("it is no regular file");
    return Deno.readTextFileSync(seen);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function parseFile(path: string, text: string): Table {
  try {
    return parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The library's message goes on with the line itself, over several lines.
    const what = error.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "");
    throw new KataError("INVALID_ARGUMENT", `Cannot parse "${path}:${error.line}:${error.column}": ${what}`);
  }
}

/** More than these make a line that nobody reads. */
const MOST_SHOWN = 10;

/** Names all unknown keys of a file in one line: a file that was written for another runtime has several. */
function unknownKeys(keys: readonly (readonly string[])[], { path, text }: Pick<Source, "path" | "text">): KataError {
  const names = knownNames();
  const problems = keys.slice(0, MOST_SHOWN).map((key) => {
    const name = formatKey(key);
    const near = nearest(name, names);
    return `"${lineOf(path, text, key)}": unknown key ${name}${near === undefined ? "" : `, nearest is ${near}`}`;
  });
  const more = keys.length > MOST_SHOWN ? `; and ${keys.length - MOST_SHOWN} more` : "";
  return new KataError("INVALID_ARGUMENT", `Cannot use ${problems.join("; ")}${more}`);
}

/** Where the file stands that sets a key last, because that is the one that counts. */
function originOf(key: string, sources: readonly Source[]): string {
  const { path, text } = sources.findLast(({ table }) => getKey(table, key) !== undefined) ?? sources[0]!;
  const spelling = spellings(key).find((name) => locate(text, name.split(".")) !== undefined) ?? key;
  return lineOf(path, text, spelling.split("."));
}

function lineOf(path: string, text: string, key: readonly string[]): string {
  const position = locate(text, key);
  return position === undefined ? path : `${path}:${position.line}:${position.column}`;
}
