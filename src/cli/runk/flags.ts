/**
 * Flags as runc's command line reads them: one or two dashes, `--name value` or `--name=value`, any alias, before and
 * behind other words: `delete ID --force`. Where these are for another program, the first that is no flag ends them:
 * `exec ID ls -l` keeps `-l`.
 *
 * @module
 */

/** `text` and `list` take a value; a list keeps each one, in order. */
export type FlagKind = "flag" | "text" | "list";

export interface FlagSpec {
  readonly kind: FlagKind;
  /** Other names, without dashes. */
  readonly aliases?: readonly string[];
  readonly help: string;
  /** Name of the value in the help text. */
  readonly value?: string;
}

export type FlagTable = Readonly<Record<string, FlagSpec>>;

type Value<K extends FlagKind> = K extends "flag" ? boolean : K extends "list" ? readonly string[] : string | undefined;

/** Values given, by the flag's own name: false, undefined or an empty list where nothing was given. */
export type Flags<T extends FlagTable> = { readonly [K in keyof T]: Value<T[K]["kind"]> };

export interface Parsed<T extends FlagTable> {
  flags: Flags<T>;
  /** All other words. */
  rest: readonly string[];
}

/**
 * @param until What ends the flags besides `--`: the first other word, or nothing.
 * @throws {RangeError} An unknown flag, one without its value, or a flag whose value is neither true nor false.
 */
export function parseFlags<const T extends FlagTable>(
  table: T,
  args: readonly string[],
  until: "word" | "end" = "word",
): Parsed<T> {
  const flags: Record<string, boolean | string | string[] | undefined> = {};
  for (const [name, { kind }] of Object.entries(table)) flags[name] = { flag: false, text: undefined, list: [] }[kind];
  const rest: string[] = [];
  let at = 0;
  for (; at < args.length; at++) {
    if (args[at] === "--") {
      at++;
      break;
    }
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(args[at]!);
    if (match === null) {
      if (until === "word") break;
      rest.push(args[at]!);
      continue;
    }
    const [, given = "", inline] = match;
    const name = flagName(table, given);
    if (name === undefined) throw new RangeError(`flag provided but not defined: -${given}`);
    if (table[name]!.kind === "flag") {
      flags[name] = parseBoolean(given, inline ?? "true");
      continue;
    }
    const value = inline ?? args[++at];
    if (value === undefined) throw new RangeError(`flag needs an argument: -${given}`);
    if (table[name]!.kind === "text") flags[name] = value;
    else (flags[name] as string[]).push(value);
  }
  return { flags: flags as Flags<T>, rest: [...rest, ...args.slice(at)] };
}

function flagName(table: FlagTable, given: string): string | undefined {
  return Object.keys(table).find((name) => name === given || table[name]!.aliases?.includes(given));
}

/** @throws {RangeError} Neither true nor false. */
export function parseBoolean(name: string, text: string): boolean {
  if (["true", "1", "t"].includes(text)) return true;
  if (["false", "0", "f"].includes(text)) return false;
  throw new RangeError(`invalid boolean value "${text}" for -${name}`);
}

/** One line a flag, as help shows them. */
export function describeFlags(table: FlagTable): string {
  const rows = Object.entries(table).map(([name, { aliases = [], value, help }]) => {
    const names = [name, ...aliases].map((each) => (each.length === 1 ? `-${each}` : `--${each}`)).join(", ");
    return [value === undefined ? names : `${names} ${value}`, help] as const;
  });
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, help]) => `   ${left.padEnd(width)}  ${help}\n`).join("");
}
