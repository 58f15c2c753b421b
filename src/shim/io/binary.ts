/** Output into the pipes of a logging program. @module */
import { abortable } from "../../base/async.ts";
import { Fd, O_NONBLOCK, O_RDWR, pipe } from "../../linux/io/fd.ts";
import { readSome, writeAll } from "../../linux/io/poll.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import { type Child, spawn } from "../../linux/process/spawn.ts";
import type { OutputStream, Stdio } from "../../sandbox/container/stdio.ts";

/** How long a logger may take to end after its input has, and again after SIGTERM. */
const END_MS = 12_000;

/** Where a process's output goes. */
export type Outputs = Pick<Stdio, "stdout" | "stderr"> & AsyncDisposable;

export interface LoggerContext {
  containerId: string;
  namespace: string;
}

/**
 * Starts the program of a URI such as `binary:///usr/bin/log?key=value`: its arguments are keys and values, descriptors
 * 3 and 4 read the container's output and error, and it writes to or closes 5 when it is ready.
 *
 * @throws {Error} It cannot be started.
 */
export async function startLogger(uri: URL, context: LoggerContext): Promise<Outputs> {
  await using undo = new AsyncDisposableStack();
  const [output, error, ready] = [undo.use(pipe()), undo.use(pipe()), undo.use(pipe(O_NONBLOCK))];
  const path = decodeURIComponent(uri.pathname);
  using nothing = Fd.open("/dev/null", O_RDWR);
  const child = undo.adopt(
    spawn({
      path,
      args: [path, ...loggerArgs(uri.searchParams)],
      env: { CONTAINER_ID: context.containerId, CONTAINER_NAMESPACE: context.namespace },
      fds: [
        ...[0, 1, 2].map((number) => ({ child: number, fd: nothing })),
        { child: 3, fd: output.read },
        { child: 4, fd: error.read },
        { child: 5, fd: ready.write },
      ],
    }),
    endLogger,
  );
  for (const end of [output.read, error.read, ready.write]) end[Symbol.dispose]();
  await readSome(ready.read, new Uint8Array(1), { signal: AbortSignal.timeout(END_MS) });
  ready[Symbol.dispose]();
  const [stdout, stderr] = [new LoggerPipe(output.write), new LoggerPipe(error.write)];
  undo.move();
  return {
    stdout,
    stderr,
    async [Symbol.asyncDispose]() {
      // The end of its input is what tells a logger to finish.
      stdout[Symbol.dispose]();
      stderr[Symbol.dispose]();
      await endLogger(child);
    },
  };
}

/** The first value of each key, after its key. */
function loggerArgs(query: URLSearchParams): readonly string[] {
  return [...new Set(query.keys())].flatMap((key) => [key, query.get(key) ?? ""]);
}

async function endLogger(child: Child): Promise<void> {
  const ended = child.wait();
  for (const signal of [SIGNALS.SIGTERM, SIGNALS.SIGKILL]) {
    try {
      await abortable(ended, AbortSignal.timeout(END_MS));
      break;
    } catch {
      child.kill(signal);
    }
  }
  await ended;
}

class LoggerPipe implements OutputStream {
  readonly #fd: Fd;

  constructor(fd: Fd) {
    fd.setNonblocking();
    this.#fd = fd;
  }

  async write(data: Uint8Array<ArrayBuffer>, { signal }: { signal: AbortSignal }): Promise<void> {
    await writeAll(this.#fd, data, { signal });
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}
