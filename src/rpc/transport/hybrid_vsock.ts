/**
 * Hybrid vsock: the VMM owns a unix socket; a client writes `CONNECT <port>`, reads `OK <a port>`, and from then on is
 * connected with that vsock port of the guest.
 *
 * @module
 * @see https://github.com/firecracker-microvm/firecracker/blob/main/docs/vsock.md
 */
import { type Duplex, greet, withFirstBytes, writeAll } from "./duplex.ts";

const NEWLINE = 0x0a;
const MAX_ANSWER_BYTES = 256;
const ANSWER_TIMEOUT_MS = 10_000;

export interface HybridVsockOptions {
  signal: AbortSignal;
  /** How long the VMM may take to answer. Default: 10 seconds. */
  answerMs?: number | undefined;
}

/** @throws If nobody in the guest listens on `port` yet, or the VMM does not answer in time. */
export async function connectHybridVsock(
  path: string,
  port: number,
  { signal, answerMs = ANSWER_TIMEOUT_MS }: HybridVsockOptions,
): Promise<Duplex> {
  const socket = await Deno.connect({ transport: "unix", path });
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new Error("The VMM does not answer")), answerMs);
  try {
    return await greet(socket, AbortSignal.any([signal, timeout.signal]), async () => {
      await writeAll(socket, new TextEncoder().encode(`CONNECT ${port}\n`));
      return withFirstBytes(await readAnswer(socket), socket);
    });
  } finally {
    clearTimeout(timer);
  }
}

/** @returns What came after the answer: the guest may have sent at once. */
async function readAnswer(socket: Duplex): Promise<Uint8Array> {
  const buffer = new Uint8Array(MAX_ANSWER_BYTES);
  let length = 0;
  while (length < buffer.length) {
    const count = await socket.read(buffer.subarray(length));
    if (count === null) throw new Error("The VMM closed the connection: nobody listens in the guest");
    length += count;
    const end = buffer.subarray(0, length).indexOf(NEWLINE);
    if (end === -1) continue;
    const answer = new TextDecoder().decode(buffer.subarray(0, end));
    if (!/^OK\b/.test(answer)) throw new Error(`The VMM refused: "${answer}"`);
    return buffer.subarray(end + 1, length);
  }
  throw new Error(`The VMM's answer is longer than ${MAX_ANSWER_BYTES} bytes`);
}
