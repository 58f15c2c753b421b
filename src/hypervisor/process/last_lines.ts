/** The last words of a process or a guest, for the message that reports its end. @module */
import { systemClock } from "../../base/clock.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { readNow, readSome } from "../../linux/io/poll.ts";

/** A line is cut there: a binary that writes without newlines must not fill the memory. */
const LONGEST_LINE = 4096;
/** As much as a pipe holds. */
const PIPE_BYTES = 64 << 10;
const MOST_TURNS = 16;

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

  /** The last lines, with the one that is not finished yet. */
  tail(count: number): readonly string[] {
    const unfinished = printable(this.#rest);
    return [...this.#kept, ...(unfinished === "" ? [] : [unfinished])].slice(-count);
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

/** Receiver of a stream's pieces, such as {@linkcode LastLines}. */
export interface LineSink {
  push(chunk: Uint8Array): void;
  end(): void;
}

export interface ReadLinesOptions {
  /** The writer's end: then what is there is read, and no more waited for, as what it forked may keep the stream open. */
  ended: AbortSignal;
  /** Between two reads, so that one who writes byte by byte wakes nobody for each. */
  pauseMs?: number;
}

/**
 * Reads a program's output to its end.
 *
 * @param stream Owned; a read that fails is its end.
 */
export async function readLines(stream: Fd, sink: LineSink, { ended, pauseMs = 0 }: ReadLinesOptions): Promise<void> {
  using _owned = stream;
  stream.setNonblocking();
  const buffer = new Uint8Array(PIPE_BYTES);
  try {
    for (let count; (count = await readSome(stream, buffer, { signal: ended })) > 0;) {
      sink.push(buffer.subarray(0, count));
      if (pauseMs > 0) await systemClock.sleep(pauseMs, ended);
    }
  } catch {
    if (ended.aborted) readRest(stream, buffer, sink);
  }
  sink.end();
}

/** Reads the bytes that are there now, and no more than the writer can have written before its end. */
function readRest(stream: Fd, buffer: Uint8Array<ArrayBuffer>, sink: LineSink): void {
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    const count = readNow(stream, buffer) ?? 0;
    if (count === 0) return;
    sink.push(buffer.subarray(0, count));
  }
}

/** Without terminal sequences and control characters, which firmware and kernels write to a console. */
function printable(line: string): string {
  // deno-lint-ignore no-control-regex -- these are what it removes
  return line.slice(0, LONGEST_LINE).replace(/\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]/g, "").trimEnd();
}
