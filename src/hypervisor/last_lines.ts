/** The last words of a process or a guest, for the message that reports its end. @module */

/** A line is cut there: a binary that writes without newlines must not fill the memory. */
const LONGEST_LINE = 4096;
/** How much of a log file is read for its last lines. */
const TAIL_BYTES = 64 * 1024;

/** Cuts a byte stream into lines and keeps the last ones. */
export class LastLines {
  readonly #decoder = new TextDecoder();
  readonly #kept: string[] = [];
  readonly #most: number;
  readonly #onLine: (line: string) => void;
  #rest = "";

  constructor(most: number, onLine: (line: string) => void = () => {}) {
    this.#most = most;
    this.#onLine = onLine;
  }

  get lines(): readonly string[] {
    return this.#kept;
  }

  push(chunk: Uint8Array): void {
    const parts = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#rest = (parts.pop() ?? "").slice(-LONGEST_LINE);
    for (const line of parts) this.#add(line);
  }

  /** Takes what is left as the last line. */
  end(): void {
    this.#add(this.#rest + this.#decoder.decode());
    this.#rest = "";
  }

  #add(raw: string): void {
    const line = printable(raw);
    if (line === "") return;
    this.#kept.push(line);
    if (this.#kept.length > this.#most) this.#kept.shift();
    this.#onLine(line);
  }
}

/** The last lines of a file that somebody writes; none if it does not exist. */
export function tailOf(path: string, lines: number): readonly string[] {
  const last = new LastLines(lines);
  try {
    using file = Deno.openSync(path);
    const { size } = file.statSync();
    file.seekSync(Math.max(0, size - TAIL_BYTES), Deno.SeekMode.Start);
    const buffer = new Uint8Array(TAIL_BYTES);
    for (let count; (count = file.readSync(buffer)) !== null && count > 0;) last.push(buffer.subarray(0, count));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  last.end();
  return last.lines;
}

/** Without terminal sequences and control characters, which firmware and kernels write to a console. */
function printable(line: string): string {
  // deno-lint-ignore no-control-regex -- these are what it removes
  return line.slice(0, LONGEST_LINE).replace(/\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]/g, "").trimEnd();
}
