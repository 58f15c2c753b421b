/** Reading the configuration file and its drop-ins. @module */
import { parse as parseToml, TomlError } from "smol-toml";
import * as v from "valibot";
import { KataError } from "../base/error.ts";
import type { TrustedFile } from "../linux/fs/trusted.ts";
import { open, openConfig, type Places, unreadable } from "./places.ts";
import { ALIASES, type Config, fileSchema, toConfig } from "./schema.ts";
import { getKey, keyPaths, mergeTables, moveKey, type Table } from "./table.ts";

export interface LoadedConfig {
  config: Config;
  /** The full path of the file that was used. */
  path: string;
  /** What the files say and nobody reads: one line each, for the log. */
  warnings: readonly string[];
}

/** One file, for messages that name it. */
interface Source {
  path: string;
  table: Table;
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
  const result = v.safeParse(fileSchema, merged);
  if (!result.success) throw invalidValue(result.issues[0], sources);
  const known = new Set(keyPaths(result.output));
  const unknown = keyPaths(merged).filter((key) => !known.has(key));
  const warnings = unknown.map((key) => `Unknown key ${key} in "${originOf(key, sources)}" has no effect`);
  return { config: toConfig(result.output), path, warnings };
}

function dropIns(path: string): readonly Source[] {
  const place = `${path.slice(0, path.lastIndexOf("/"))}/config.d`;
  using directory = open(place);
  if (directory === undefined) return [];
  return namesIn(directory).map((name) => {
    using file = open(`${place}/${name}`);
    if (file === undefined) throw unreadable(`${place}/${name}`, "ENOENT");
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
  const table = parseFile(path, readText(path, seen));
  for (const [from, to] of Object.entries(ALIASES)) moveKey(table, from, to);
  return { path, table };
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

function invalidValue(issue: v.BaseIssue<unknown>, sources: readonly Source[]): KataError {
  const key = v.getDotPath(issue) ?? "";
  const expected = issue.expected ?? issue.message.replace(/^Invalid (\w+):.*/, "$1");
  const message = `Cannot use "${originOf(key, sources)}": ${key} must be ${expected}, but is ${issue.received}`;
  return new KataError("INVALID_ARGUMENT", message);
}

/** The last file that sets a key, because that is the one that counts. */
function originOf(key: string, sources: readonly Source[]): string | undefined {
  return sources.findLast(({ table }) => getKey(table, key) !== undefined)?.path ?? sources[0]?.path;
}
