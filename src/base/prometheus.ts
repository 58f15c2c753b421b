/**
 * Prometheus' exposition text, written and read. A family is a name with its help, its kind and its samples.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 * @module
 */
import { quoted } from "./text.ts";

/** One line. */
export interface Sample {
  /** Where it is not the family's, as in a histogram. */
  name?: string;
  labels: Readonly<Record<string, string>>;
  value: number | bigint;
}

export interface Family {
  name: string;
  help: string;
  /** `counter`, `gauge`, `histogram`, `summary` or `untyped`. */
  type: string;
  samples: readonly Sample[];
}

export function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: "gauge", samples };
}

/** A family of one figure. */
export function single(name: string, help: string, value: number): Family {
  return gauge(name, help, [{ labels: {}, value }]);
}

type Values = Readonly<Record<string, number>>;

/** A family whose label `item` tells which of several figures a sample is. */
export function items(name: string, help: string, values: Values): Family {
  return gauge(name, help, Object.entries(values).map(([item, value]) => ({ labels: { item }, value })));
}

/** A family of several figures for each row, which the label `row` names. */
export function table(
  { name, help, row }: { name: string; help: string; row: string },
  rows: Readonly<Record<string, Values>>,
): Family {
  const samples = Object.entries(rows).flatMap(([key, values]) =>
    Object.entries(values).map(([item, value]) => ({ labels: { [row]: key, item }, value }))
  );
  return gauge(name, help, samples);
}

/** The text; a family without samples is left out. */
export function renderFamilies(families: readonly Family[]): string {
  return families.filter(({ samples }) => samples.length > 0).map(renderFamily).join("");
}

function renderFamily({ name, help, type, samples }: Family): string {
  const lines = samples.map(({ name: own = name, labels, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    return `${own}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${String(value).replace("Infinity", "Inf")}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (char) => char === "\n" ? "\\n" : `\\${char}`);
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const PAIR = String.raw`[a-zA-Z_]\w*="(?:[^"\\]|\\.)*"`;
const DESCRIPTION = new RegExp(`^# (HELP|TYPE) (${NAME})(?: (.*))?$`);
const SAMPLE = new RegExp(String.raw`^(${NAME})(?:\{((?:${PAIR},?)*)\})? ([^ ]+)(?: -?\d+)?$`);
const ENDINGS = /_(?:bucket|sum|count)$/;

/**
 * Reads the families of a text, in its order. Other comments say nothing and are passed over.
 *
 * @throws {RangeError} A line that is none of the format.
 */
export function parseFamilies(text: string): Family[] {
  const families = new Map<string, Family & { samples: Sample[] }>();
  const family = (name: string) => {
    const known = families.get(name) ?? { name, help: "", type: "untyped", samples: [] };
    families.set(name, known);
    return known;
  };
  for (const line of text.split("\n")) {
    const [, keyword, described, words = ""] = DESCRIPTION.exec(line) ?? [];
    if (described !== undefined) family(described)[keyword === "HELP" ? "help" : "type"] = words;
    else if (line !== "" && !line.startsWith("#")) {
      const sample = parseSample(line);
      const shorter = sample.name.replace(ENDINGS, "");
      family(families.has(shorter) ? shorter : sample.name).samples.push(sample);
    }
  }
  return [...families.values()];
}

function parseSample(line: string): Sample & { name: string } {
  const [, name, pairs = "", word] = SAMPLE.exec(line) ?? [];
  const value = word === undefined ? NaN : Number(word.replace(/^([+-]?)Inf$/, "$1Infinity"));
  if (name === undefined || (Number.isNaN(value) && word !== "NaN")) {
    throw new RangeError(`Cannot read ${quoted(line)} as a sample of Prometheus' text`);
  }
  const labels = Array.from(pairs.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g), ([, label, text]) => [
    label!,
    text!.replace(/\\(.)/g, (_, char) => char === "n" ? "\n" : char),
  ]);
  return { name, labels: Object.fromEntries(labels), value };
}
