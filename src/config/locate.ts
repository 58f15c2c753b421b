/** Where in a text of TOML a key stands. For messages: the parser gives values, but not where they stand. Pure. @module */

export interface Position {
  /** From 1. */
  line: number;
  /** From 1, in characters of JavaScript. */
  column: number;
}

/**
 * @param text TOML that a parser has accepted; of any other text, the answer means nothing.
 * @param path Names of the tables, then the key's.
 * @returns Where the key or the table is named for the first time, undefined if it is not.
 */
export function locate(text: string, path: readonly string[]): Position | undefined {
  const found = new Scanner(text).names().find((one) => path.every((name, index) => one.path[index] === name));
  if (found === undefined) return undefined;
  const before = text.slice(0, found.at);
  return { line: before.split("\n").length, column: found.at - before.lastIndexOf("\n") };
}

interface Name {
  path: readonly string[];
  /** Offset in the text. */
  at: number;
}

const BLANK = /(?:[\s,]|#[^\n]*)+/y;
const SPACE = /[ \t]+/y;
/** The quotes at the end may be part of the text: a multi-line string of two quotes ends with five. */
const STRING = /"""(?:[^\\]|\\[^])*?"""(?:"{0,2})|'''[^]*?'''(?:'{0,2})|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'/y;
const BARE_KEY = /[^\s.=\]"'#]+/y;
const BARE_VALUE = /[^,\]}\n#]+/y;

/** Walks through a text once. Every step goes on or ends, whatever the text is. */
class Scanner {
  readonly #text: string;
  readonly #names: Name[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** All names of tables and keys, in their order. */
  names(): readonly Name[] {
    let table: readonly string[] = [];
    for (this.#take(BLANK); this.#at < this.#text.length; this.#take(BLANK)) {
      if (this.#peek() !== "[") {
        this.#pair(table);
        continue;
      }
      while (this.#peek() === "[") this.#at++;
      table = this.#key([]);
      while (this.#peek() === "]") this.#at++;
    }
    return this.#names;
  }

  #pair(table: readonly string[]): void {
    const path = this.#key(table);
    this.#at++; // the equals sign
    this.#value(path);
  }

  #key(table: readonly string[]): readonly string[] {
    this.#take(SPACE);
    const [at, path] = [this.#at, [...table]];
    for (;;) {
      path.push(this.#part());
      this.#take(SPACE);
      if (this.#peek() !== ".") break;
      this.#at++;
      this.#take(SPACE);
    }
    this.#names.push({ path, at });
    return path;
  }

  #part(): string {
    const quoted = this.#take(STRING);
    return quoted === "" ? this.#take(BARE_KEY) : unquote(quoted);
  }

  #value(path: readonly string[]): void {
    this.#take(SPACE);
    const open = this.#peek();
    if (open === "[") this.#list("]", () => this.#value(path));
    else if (open === "{") this.#list("}", () => this.#pair(path));
    else if (this.#take(STRING) === "") this.#take(BARE_VALUE);
  }

  #list(close: string, element: () => void): void {
    this.#at++;
    for (this.#take(BLANK); this.#at < this.#text.length && this.#peek() !== close; this.#take(BLANK)) {
      const before = this.#at;
      element();
      if (this.#at === before) this.#at++;
    }
    this.#at++;
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  /** Matches where it stands, passes over the match and returns it; empty if there is none. */
  #take(expression: RegExp): string {
    expression.lastIndex = this.#at;
    const [taken = ""] = expression.exec(this.#text) ?? [];
    this.#at += taken.length;
    return taken;
  }
}

function unquote(text: string): string {
  try {
    return text.startsWith('"') ? JSON.parse(text) : text.slice(1, -1);
  } catch {
    return text.slice(1, -1); // an escape that only TOML has
  }
}
