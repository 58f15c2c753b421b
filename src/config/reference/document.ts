/** The shipped configuration files and the page of reference, written from the rows. Pure. @module */
import { entries, type Entry, facts, plannedText, tomlValue, valuesText } from "./describe.ts";
import type { KeyTable, MonitorKind } from "../key.ts";
import { HYPERVISORS, TABLES } from "../tables.ts";

const WIDTH = 120;

/** All that is written from the rows: by path in the repository. */
export function documents(): Readonly<Record<string, string>> {
  const kinds = Object.keys(HYPERVISORS) as MonitorKind[];
  const files = kinds.map((kind) => [`config/configuration-${kind}.toml`, shippedFile(kind)]);
  return { ...Object.fromEntries(files), "config/README.md": reference() };
}

/** Each key with its default, and what it means. */
export function shippedFile(kind: MonitorKind): string {
  const tables = [HYPERVISORS[kind], ...Object.values(TABLES)];
  const shipped = entries(tables).filter(({ key }) => key.shipped !== undefined).map(({ name }) => name);
  const head = `The configuration of Kata Containers with the hypervisor ${kind}. Install it as ` +
    "/etc/kata-containers/configuration.toml; files in config.d/*.toml beside it are laid over it, in the order of " +
    `their names. Each key is shown with its default, except ${shipped.join(" and ")}, which have none. ` +
    "scripts/generate writes this file from src/config/keys, and config/README.md, which says more of each key.";
  return [comment(head), ...tables.map((table) => tableText(table, kind))].join("\n");
}

function tableText(table: KeyTable, kind: MonitorKind): string {
  const keys = entries([table]).map(({ name, key }) => {
    const words = [key.doc, valuesText(key), plannedText(key)].filter((text) => text !== "").join(" ");
    const value = key === TABLES.runtime.keys.hypervisor_name ? kind : key.shipped ?? key.default;
    return `${comment(words)}${name} = ${tomlValue(value)}\n`;
  });
  return `${comment(table.doc)}[${table.path}]\n\n${keys.join("\n")}`;
}

function comment(text: string): string {
  return wrap(text, WIDTH - 2).map((line) => `# ${line}\n`).join("");
}

const INTRODUCTION = [
  "# Configuration",
  "This page is written by `scripts/generate` from the rows in `src/config/keys`, as are the files beside it.",
  "The runtime reads the first of these that is named: the annotation `io.katacontainers.config_path` of a pod, " +
  "`--config` of a command, `ConfigPath` in containerd's options, `KATA_CONF_FILE`. If none is, it reads the first of " +
  "these that exists: `/etc/kata-containers/configuration.toml`, " +
  "`/usr/share/defaults/kata-containers/configuration.toml`. The files `config.d/*.toml` beside it are laid over it, " +
  "sorted by name: tables merge key by key, anything else is replaced. Nobody but root may be able to change any of " +
  "these files.",
  "A key that is missing has its default. One that nobody knows is an error that names file, line, column and the " +
  "nearest name; so is a value that its key cannot have. A key that is not supported yet may stand in a file: if it " +
  "asks for something, a warning in the log says that nothing comes of it. Values that would silently do something " +
  "else are refused.",
  "A pod changes keys by the annotations named below. Those of the hypervisor's table need a match in " +
  "`enable_annotations`. Any other annotation `io.katacontainers.*` is refused by its name.",
];

/** The page of all keys. */
function reference(): string {
  const tables = [...Object.values(HYPERVISORS), ...Object.values(TABLES)];
  return [...INTRODUCTION.map(paragraph), ...tables.map(tableReference)].join("\n");
}

function tableReference(table: KeyTable): string {
  return `## [${table.path}]\n\n${paragraph(table.doc)}\n${entries([table]).map(keyReference).join("\n")}`;
}

function keyReference(entry: Entry): string {
  const lines = facts(entry).map(([name, text]) => `- ${wrap(`${name}: ${text}`, WIDTH - 2).join("\n  ")}\n`);
  return `### ${entry.name}\n\n${paragraph(entry.key.doc)}\n${lines.join("")}`;
}

function paragraph(text: string): string {
  return `${wrap(text, WIDTH).join("\n")}\n`;
}

/** Lines of at most so many characters, broken at spaces. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
