/** Targets that are tables of parsers: a row each, with good texts that are changed. @module */
import { mutateBytes } from "./bytes.ts";
import type { Random } from "./random.ts";
import { defineTarget, type Scratch, type Target } from "./target.ts";
import { anyText, mutateText } from "./text.ts";

/** One parser of texts. */
export interface TextParser {
  good: readonly string[];
  parse(text: string, scratch: Scratch): unknown;
}

/** One parser of bytes. */
export interface BytesParser {
  good: readonly Uint8Array[];
  parse(bytes: Uint8Array<ArrayBuffer>, scratch: Scratch): unknown;
}

interface RowInput<T> {
  row: string;
  text: T;
}

interface TableOptions<P> {
  name: string;
  rounds: number;
  rows: Readonly<Record<string, P>>;
}

export function textParsers({ name, rounds, rows }: TableOptions<TextParser>): Target<RowInput<string>> {
  return defineTarget({
    name,
    rounds,
    make: (random) => {
      const row = random.pick(Object.keys(rows));
      return { row, text: changedText(random, rows[row]!.good) };
    },
    run: ({ row, text }, scratch) => rows[row]!.parse(text, scratch),
  });
}

/** Good texts changed, mixed, made long, or no text of the kind at all. */
function changedText(random: Random, good: readonly string[]): string {
  const text = random.pick(good);
  switch (random.below(12)) {
    case 0:
      return anyText(random);
    case 1:
      return text + random.pick(["", "\n"]) + random.pick(good);
    case 2: // lines, or what else repeats
      return random.once(10) ? mutateText(random, text).repeat(random.between(20, 400)) : text.repeat(3);
    default:
      return mutateText(random, text);
  }
}

export function bytesParsers({ name, rounds, rows }: TableOptions<BytesParser>): Target<RowInput<Uint8Array>> {
  return defineTarget({
    name,
    rounds,
    make: (random) => {
      const row = random.pick(Object.keys(rows));
      const isRandom = random.once(6);
      return {
        row,
        text: isRandom ? random.bytes(random.few(120)) : mutateBytes(random, random.pick(rows[row]!.good)),
      };
    },
    run: ({ row, text }, scratch) => rows[row]!.parse(Uint8Array.from(text), scratch),
  });
}
