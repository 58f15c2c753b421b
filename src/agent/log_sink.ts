/** Where the agent's log lines go. @module */
import type { LogSink } from "../base/log.ts";
import { listen } from "../rpc/address.ts";
import type { Duplex, Listener } from "../rpc/duplex.ts";
import type { Admission } from "../rpc/host_proof.ts";

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

/** Log lines wait for a reader up to this many; then the oldest go. */
const BACKLOG = 1024;

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

/** Serves log lines to whoever connects to `listener`, which it closes at the end. */
export function serveLog(listener: Listener): ServedLog {
  const lines: string[] = [];
  let wake = Promise.withResolvers<void>();
  let isOpen = true;
  async function pump(): Promise<void> {
    for await (const reader of listener) {
      using _ = reader;
      while (isOpen && await drain(reader, lines)) await wake.promise;
    }
  }
  return {
    sink(line) {
      if (lines.push(line) > BACKLOG) lines.shift();
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
async function drain(reader: Duplex, lines: string[]): Promise<boolean> {
  try {
    while (lines.length > 0) {
      const data = encoder.encode(`${lines[0]}\n`);
      for (let sent = 0; sent < data.length;) sent += await reader.write(data.subarray(sent));
      lines.shift();
    }
    return true;
  } catch {
    return false;
  }
}
