/** Texts that break parsers, and changes that turn good text into nearly good text. @module */
import type { Random } from "./random.ts";

/** Words that mean something to JavaScript, to a path, to a shell, to a format. */
const HOSTILE: readonly string[] = [
  "",
  " ",
  ".",
  "..",
  "/",
  "//",
  "../..",
  "../../../../outside",
  "/proc/self/fd/1",
  "/dev/zero",
  "\0",
  "a\0b",
  "\n",
  "\r\n",
  "\ufeff",
  "\u2028",
  "\ud800",
  "\udfff",
  "é",
  "\u0130",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "valueOf",
  "then",
  "length",
  "null",
  "undefined",
  "NaN",
  "Infinity",
  "-Infinity",
  "true",
  "false",
  "[]",
  "{}",
  "-",
  "--",
  "-1",
  "+1",
  "0",
  "00",
  "0x10",
  "0b1",
  "1e3",
  "1e999",
  "1.5",
  " 1",
  "1 ",
  "1_000",
  "9999999999999999999",
  "18446744073709551615",
  "18446744073709551616",
  "-9223372036854775808",
  "-9223372036854775809",
  "0-9999999999999999999",
  "0-4000000000",
  "4-1",
  "0-",
  "-0",
  "1,,2",
  "%",
  "%00",
  "%2e%2e%2f",
  "$(id)",
  "`id`",
  "${x}",
  "'",
  '"',
  "\\",
  ";",
  ",",
  "=",
  ":",
  "a=b=c",
  "(",
  "[",
  "*",
  "(a+)+$",
  "\t",
  "\x1b[2J",
  "\x7f",
];

const PIECES =
  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,;=+ \n\t\"'\\{}[]()<>|&%$#@!~*?\0é\u2028";

/** Any text: hostile words, runs of one letter, mixtures; rarely long. */
export function anyText(random: Random): string {
  switch (random.below(6)) {
    case 0:
    case 1:
      return random.pick(HOSTILE);
    case 2:
      return String(random.integer());
    case 3:
      return random.times(random.few(3), () => random.pick(HOSTILE)).join(random.pick(["", "/", ",", "-", "="]));
    case 4:
      return random.once(20)
        ? random.pick(["a", "/", "../", "(", "0"]).repeat(random.between(200, 9000))
        : letters(random);
    default:
      return letters(random);
  }
}

function letters(random: Random): string {
  return random.times(random.few(24), () => random.pick([...PIECES])).join("");
}

/** A word that fits the place in most cases. */
export function textLike(random: Random, good: readonly string[]): string {
  if (random.once(5)) return anyText(random);
  const word = random.pick(good);
  return random.once(3) ? mutateText(random, word) : word;
}

/** `text` with a few cuts, doublings and foreign pieces. */
export function mutateText(random: Random, text: string): string {
  for (let change = random.between(1, 4); change > 0; change--) {
    const at = random.below(text.length + 1);
    const to = Math.min(text.length, at + random.few(12));
    text = text.slice(0, at) + replacement(random, text.slice(at, to)) + text.slice(random.once(3) ? at : to);
  }
  return text;
}

function replacement(random: Random, piece: string): string {
  switch (random.below(6)) {
    case 0:
      return random.pick(HOSTILE);
    case 1:
      return random.pick([...PIECES]);
    case 2:
      return piece + piece;
    case 3:
      return String(random.integer());
    case 4:
      return [...piece].reverse().join("");
    default:
      return "";
  }
}
