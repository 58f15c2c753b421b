/** The monitor's unix socket (B40). @module */
import { retry } from "../../base/async.ts";
import { readableStream } from "../../linux/fd_stream.ts";
import { writeAll } from "../../linux/poll.ts";
import { connectUnix, sendFds } from "../../linux/socket.ts";
import { Qmp, type QmpWire } from "./qmp.ts";

const RETRY_EVERY_MS = 50;
const GREETING_MS = 250;
const READY_MS = 5_000;

/** Time limits of {@linkcode connectQmp}; others in tests. */
export interface ConnectQmpOptions {
  /** Its reason is thrown as it is: the VMM died, or nobody wants it any more. */
  signal: AbortSignal;
  readyMs?: number;
}

/**
 * Connects to a monitor that is about to listen: every 50 ms for up to 5 s, and 250 ms for the greeting each time.
 *
 * @throws {Error} `timed out waiting for QMP ready: <path>`, its cause is what the last attempt met.
 */
export async function connectQmp(path: string, { signal, readyMs = READY_MS }: ConnectQmpOptions): Promise<Qmp> {
  const until = AbortSignal.any([signal, AbortSignal.timeout(readyMs)]);
  try {
    return await retry(() => attempt(path, until), { signal: until, everyMs: RETRY_EVERY_MS });
  } catch (cause) {
    signal.throwIfAborted();
    throw new Error(`timed out waiting for QMP ready: ${path}`, { cause });
  }
}

function attempt(path: string, until: AbortSignal): Promise<Qmp> {
  return Qmp.open(openWire(path), AbortSignal.any([until, AbortSignal.timeout(GREETING_MS)]));
}

function openWire(path: string): QmpWire {
  using undo = new DisposableStack();
  const socket = undo.use(connectUnix(path));
  const reader = readableStream(socket.dup()).getReader();
  const owned = undo.move();
  return {
    input: chunks(reader),
    send: async (data, fds) => await writeAll(socket, data.subarray(sendFds(socket, data, fds))),
    close: async () => {
      await reader.cancel().catch(() => {}); // it has failed already, then
      owned.dispose();
    },
  };
}

async function* chunks(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let chunk; !(chunk = await reader.read()).done;) yield chunk.value;
}
