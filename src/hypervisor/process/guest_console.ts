/**
 * Keeps the last lines of a guest's console, for the messages that report the guest's end. The guest writes as much as
 * it likes, so nothing here grows with that.
 *
 * @module
 */
import { removeIfThere } from "../../base/files.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { setSendBuffer, socketPair } from "../../linux/net/socket.ts";
import { LastLines, readLines } from "./last_lines.ts";

const KEPT_LINES = 100;
/**
 * A VMM sends each byte by itself, of which each takes a kilobyte here: room for some thousand bytes, so that the guest need
 * not wait for us to read. If we do not, for longer, it does wait; the VMM never does.
 */
const BUFFER_BYTES = 4 << 20;
/** Between two looks: else each byte would wake us. */
const PAUSE_MS = 10;
/** Of a file, and once more of the one before it. */
const FILE_BYTES = 1 << 20;

export interface ConsoleOptions {
  /** For debugging: where the output goes as well. As long as it may be, `path.1` has what came before. */
  file?: string | undefined;
}

/** The reading end of one VM's console. Disposing it ends it; what it has read stays known. */
export class GuestConsole implements Disposable {
  /** Resolves once everything has been read: the VMM has ended. */
  readonly done: Promise<void>;
  readonly #words = new LastLines(KEPT_LINES);
  readonly #ended = new AbortController();

  /** @param socket Owned. */
  constructor(socket: Fd, { file }: ConsoleOptions = {}) {
    let log = file === undefined ? undefined : new BoundedFile(file, FILE_BYTES);
    const push = (chunk: Uint8Array) => {
      this.#words.push(chunk);
      try {
        log?.write(chunk);
      } catch {
        log = undefined; // a full disk ends the file, not the reading: a guest whose console nobody reads stands still
      }
    };
    this.done = readLines(socket, { push, end: () => this.#words.end() }, {
      ended: this.#ended.signal,
      pauseMs: PAUSE_MS,
    });
  }

  /** @returns The console, and the end that the VMM gets and the caller closes. */
  static open(options: ConsoleOptions = {}): { console: GuestConsole; writer: Fd } {
    const [reader, writer] = socketPair();
    setSendBuffer(writer, BUFFER_BYTES);
    return { console: new GuestConsole(reader, options), writer };
  }

  /** The last lines, the unfinished one too. */
  tail(lines: number): readonly string[] {
    return this.#words.tail(lines);
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
  }
}

/** A file that is put aside when it is full, in place of the one before. */
export class BoundedFile {
  readonly #path: string;
  readonly #most: number;
  #length = 0;

  constructor(path: string, most: number) {
    this.#path = path;
    this.#most = most;
    removeIfThere(path);
  }

  write(data: Uint8Array): void {
    if (this.#length + data.length > this.#most && this.#length > 0) {
      Deno.renameSync(this.#path, `${this.#path}.1`);
      this.#length = 0;
    }
    const kept = data.subarray(0, this.#most);
    Deno.writeFileSync(this.#path, kept, { append: true, mode: 0o600 });
    this.#length += kept.length;
  }
}
