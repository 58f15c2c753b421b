/** Cost of a call within one process: both ends, no socket. `scripts/bench_ttrpc.ts` has a socket and two processes. */
import { createClient } from "@connectrpc/connect";
import { createLogger } from "../../../base/log.ts";
import { Health } from "../../../proto/health_pb.ts";
import { createTtrpcTransport } from "../client.ts";
import type { Duplex } from "../../transport/duplex.ts";
import { FRAME_TYPE, FrameDecoder, FrameEncoder } from "../frame.ts";
import { escapeData, SerialDecoder } from "../../transport/serial_codec.ts";
import { defineService, serveConnection } from "../server.ts";

const MIB = 1 << 20;

/** One direction of a stream in memory. */
class Pipe {
  readonly #pieces: Uint8Array[] = [];
  #wake: (() => void) | undefined;

  write(data: Uint8Array): Promise<number> {
    this.#pieces.push(data.slice());
    this.#wake?.();
    return Promise.resolve(data.length);
  }

  async read(buffer: Uint8Array): Promise<number> {
    while (this.#pieces.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    const piece = this.#pieces.shift()!;
    buffer.set(piece);
    return piece.length;
  }
}

function duplex(from: Pipe, to: Pipe): Duplex {
  return {
    read: (buffer) => from.read(buffer),
    write: (data) => to.write(data),
    close: () => {},
    [Symbol.dispose]: () => {},
  };
}

const requests = new Pipe();
const answers = new Pipe();
const health = defineService(Health, { check: () => ({ status: 1 }) });
void serveConnection(duplex(requests, answers), [health], {
  signal: new AbortController().signal,
  log: createLogger({ sink: () => {} }),
});
const client = createClient(Health, createTtrpcTransport(duplex(answers, requests), { peer: "the server" }));

Deno.bench("a unary call, both ends", { group: "call", baseline: true }, async () => {
  await client.check({ service: "agent" });
});

Deno.bench("32 unary calls in flight, both ends", { group: "call" }, async () => {
  await Promise.all(Array.from({ length: 32 }, () => client.check({ service: "agent" })));
});

Deno.bench("a unary call with a deadline, both ends", { group: "call" }, async () => {
  await client.check({ service: "agent" }, { timeoutMs: 30_000 });
});

for (const [name, size] of [["32 B", 32], ["32 KiB", 32 << 10], ["1 MiB", MIB]] as const) {
  const data = new Uint8Array(size);
  const encoder = new FrameEncoder();
  const decoder = new FrameDecoder();
  Deno.bench(`encode and decode a frame of ${name}`, { group: "frame" }, () => {
    encoder.frame(1, { type: FRAME_TYPE.data, flags: 0 }, data);
    let bytes = encoder.take();
    while (bytes.length > 0) {
      const space = decoder.space();
      space.set(bytes.subarray(0, space.length));
      decoder.filled(Math.min(bytes.length, space.length));
      bytes = bytes.subarray(space.length);
      while (decoder.next() !== undefined);
    }
  });
}

for (const [name, fill] of [["text", 0x61], ["nothing but escapes", 0xf5]] as const) {
  const data = new Uint8Array(MIB).fill(fill);
  const decoder = new SerialDecoder();
  Deno.bench(`escape and unescape 1 MiB of ${name}`, { group: "serial" }, () => {
    for (const _event of decoder.decode(escapeData(data)));
  });
}
