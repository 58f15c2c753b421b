/** Finding and reading the configuration file (B51) and its drop-ins. @module */
import { parse as parseToml, TomlError } from "smol-toml";
import * as v from "valibot";
import { KataError } from "../base/error.ts";
import { ALIASES, type Config, fileSchema, toConfig } from "./schema.ts";
import { getKey, keyPaths, mergeTables, moveKey, type Table } from "./table.ts";

/** Where a configuration is looked for when nobody names one, best first. */
export const DEFAULT_PATHS: readonly string[] = [
  "/etc/kata-containers/configuration.toml",
  "/usr/share/defaults/kata-containers/configuration.toml",
];

export interface LoadOptions {
  /** Path from the sandbox's annotation, or from `--config` of a command line tool. */
  annotation?: string | undefined;
  /** Path from the shim's options. */
  optionsPath?: string | undefined;
  /** Looks up `KATA_CONF_FILE`. */
  env?: (name: string) => string | undefined;
  defaultPaths?: readonly string[];
}

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
 * Reads the first configuration that exists (B51) and its drop-ins, `config.d/*.toml` beside it, sorted by name. Tables
 * merge key by key; anything else is replaced.
 *
 * @throws {KataError} NOT_FOUND or INVALID_ARGUMENT: one line that names the file, and where in it.
 */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const path = findConfig(options);
  const sources = [path, ...dropIns(path)].map(readSource);
  const merged = sources.map(({ table }) => table).reduce(mergeTables, {});
  const result = v.safeParse(fileSchema, merged);
  if (!result.success) throw invalidValue(result.issues[0], sources);
  const known = new Set(keyPaths(result.output));
  const unknown = keyPaths(merged).filter((key) => !known.has(key));
  const warnings = unknown.map((key) => `Unknown key ${key} in "${originOf(key, sources)}" has no effect`);
  return { config: toConfig(result.output), path, warnings };
}

/** The candidates of B51, best first. */
export function configPaths(options: LoadOptions): readonly string[] {
  const { annotation, optionsPath, env = () => undefined, defaultPaths = DEFAULT_PATHS } = options;
  return [annotation, optionsPath, env("KATA_CONF_FILE"), ...defaultPaths].filter((path) => path !== undefined)
    .filter((path) => path !== "");
}

function findConfig(options: LoadOptions): string {
  const paths = configPaths(options);
  for (const path of paths) {
    try {
      return Deno.realPathSync(path);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw unreadable(path, cause);
    }
  }
  throw new KataError("NOT_FOUND", `Cannot find a configuration file: none of ${paths.join(", ")} exists`);
}

function dropIns(path: string): readonly string[] {
  const directory = `${path.slice(0, path.lastIndexOf("/"))}/config.d`;
  try {
    const entries = [...Deno.readDirSync(directory)].filter(({ name, isDirectory }) =>
      name.endsWith(".toml") && !isDirectory
    );
    return entries.map(({ name }) => `${directory}/${name}`).sort();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return [];
    throw unreadable(directory, cause);
  }
}

function readSource(path: string): Source {
  const table = parseFile(path, readText(path));
  for (const [from, to] of Object.entries(ALIASES)) moveKey(table, from, to);
  return { path, table };
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
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

/** Deno's own message for a file it cannot open holds the path or not, depending on the call: name file and errno. */
function unreadable(path: string, cause: unknown): KataError {
  const code = cause instanceof Error && "code" in cause ? cause.code : cause;
  return new KataError("INVALID_ARGUMENT", `Cannot read configuration "${path}": ${code}`);
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
