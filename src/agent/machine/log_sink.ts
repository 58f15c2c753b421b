/** Where the agent's log lines go. @module */
import type { LogSink } from "../../base/log.ts";
import { listen } from "../../rpc/transport/address.ts";
import { type Duplex, type Listener, writeAll } from "../../rpc/transport/duplex.ts";
import type { Admission } from "../../rpc/transport/host_proof.ts";

const encoder = new TextEncoder();

/** Standard output: the console in a guest, the journal under an init. */
export function stdoutSink(): LogSink {
  return (line) => {
    try {
      Deno.stdout.writeSync(encoder.encode(`${line}\n`));
    } catch {
      // A console that is gone must not end the agent, and there is nowhere left to say so.
    }
  };
}

/** Most lines, and characters, that wait for a reader; beyond it the oldest lines go. */
const BACKLOG = 1024;
const BACKLOG_LENGTH = 1 << 20;

/** A sink that serves its lines to one reader at a time. */
export interface ServedLog extends Disposable {
  readonly sink: LogSink;
  /** Resolves when the listener has been closed. */
  readonly done: Promise<void>;
}

/** Listens on a vsock port; the runtime connects, proves itself and reads one JSON object per line. */
export function listenForLogReader(port: number, admission: Admission): ServedLog {
  return serveLog(listen(`vsock://-1:${port}`, { admission }));
}

/** Serves log lines to each connection to `listener`, which it closes at the end. */
export function serveLog(listener: Listener): ServedLog {
  const backlog = new Backlog();
  let wake = Promise.withResolvers<void>();
  let isOpen = true;
  async function pump(): Promise<void> {
    for await (const reader of listener) {
      using _ = reader;
      while (isOpen && await drain(reader, backlog)) if (backlog.isEmpty) await wake.promise;
    }
  }
  return {
    sink(line) {
      backlog.add(line);
      wake.resolve();
      wake = Promise.withResolvers();
    },
    done: pump(),
    [Symbol.dispose]() {
      isOpen = false;
      wake.resolve();
      listener.close();
    },
  };
}

/** @returns False if the reader went away; what it did not take stays for the next one. */
async function drain(reader: Duplex, backlog: Backlog): Promise<boolean> {
  for (let line = backlog.take(); line !== undefined; line = backlog.take()) {
    try {
      await writeAll(reader, encoder.encode(`${line}\n`));
    } catch {
      backlog.putBack(line);
      return false;
    }
  }
  return true;
}

/** Lines that nobody has read. */
class Backlog {
  readonly #lines: string[] = [];
  #length = 0;

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  add(line: string): void {
    this.#lines.push(line);
    this.#length += line.length;
    while (this.#lines.length > BACKLOG || this.#length > BACKLOG_LENGTH) this.take();
  }

  take(): string | undefined {
    const line = this.#lines.shift();
    this.#length -= line?.length ?? 0;
    return line;
  }

  putBack(line: string): void {
    this.#lines.unshift(line);
    this.#length += line.length;
  }
}
