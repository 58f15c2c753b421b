/** The connection for QMP (B40): a pair of sockets, of which QEMU inherits one, so that nobody else can connect. @module */
import { abortable } from "../../../base/async.ts";
import type { Fd } from "../../../linux/io/fd.ts";
import { readableStream } from "../../../linux/io/fd_stream.ts";
import { writeAll } from "../../../linux/io/poll.ts";
import { sendFds } from "../../../linux/net/socket.ts";
import { Qmp, type QmpWire } from "./qmp.ts";

/** QEMU's end is noticed anyway. One that lives answers in a moment, but in seconds where the host is emulated itself. */
const READY_MS = 60_000;

/** Time limits of {@linkcode openQmp}; others in tests. */
export interface OpenQmpOptions {
  /** Gives up the wait, and throws the signal's reason as it is: the VMM died, or the start was cancelled. */
  signal: AbortSignal;
  readyMs?: number;
}

/**
 * Waits for QEMU's greeting.
 *
 * @param socket Our end; taken over. Nobody but QEMU may have the other one, or its end goes unnoticed.
 * @throws {Error} `timed out waiting for QMP ready`
 */
export async function openQmp(socket: Fd, { signal, readyMs = READY_MS }: OpenQmpOptions): Promise<Qmp> {
  const until = AbortSignal.any([signal, AbortSignal.timeout(readyMs)]);
  try {
    return await Qmp.open(openWire(socket), until);
  } catch (cause) {
    // A QEMU that ends closes the connection before its end is known, and why.
    await abortable(new Promise(() => {}), until).catch(() => {});
    signal.throwIfAborted();
    throw new Error("timed out waiting for QMP ready", { cause });
  }
}

function openWire(socket: Fd): QmpWire {
  using undo = new DisposableStack();
  undo.use(socket);
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
