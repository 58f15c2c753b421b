import assert from "node:assert/strict";
import { pipe } from "./fd.ts";
import { fdDuplex, readableStream, readText } from "./fd_stream.ts";
import { writeAll } from "./poll.ts";
import { socketPair } from "../net/socket.ts";

Deno.test("readableStream() reads to the end with backpressure, and closes", async () => {
  const { read, write } = pipe();
  const chunks = Array.from({ length: 40 }, (_, index) => new Uint8Array(10_000).fill(index));
  const writing = (async () => {
    using end = write;
    end.setNonblocking();
    for (const chunk of chunks) await writeAll(end, chunk);
  })();
  const bytes = new Uint8Array(await new Response(readableStream(read)).arrayBuffer());
  await writing;
  assert.equal(bytes.length, 400_000);
  assert.ok(bytes.every((byte, index) => byte === Math.floor(index / 10_000)));
  assert.ok(!read.isOpen);
});

Deno.test("canceling a readable stream ends the pending read and closes", async () => {
  const { read, write } = pipe();
  using _write = write;
  const reader = readableStream(read).getReader();
  const reading = reader.read();
  await reader.cancel();
  assert.ok((await reading).done);
  assert.ok(!read.isOpen);
});

Deno.test("readText() joins what was cut within a character", async () => {
  using ends = pipe();
  const bytes = new TextEncoder().encode("größer");
  const reading = readText(ends.read);
  ends.write.write(bytes.subarray(0, 3));
  await new Promise((resolve) => setTimeout(resolve, 2));
  ends.write.write(bytes.subarray(3));
  ends.write[Symbol.dispose]();
  assert.equal(await reading, "größer");
});

Deno.test("fdDuplex() carries both directions at once, in pieces, to the end", async () => {
  const [one, other] = socketPair().map(fdDuplex);
  const sent = Uint8Array.from({ length: 1 << 20 }, (_, index) => index % 251);
  async function send(to: typeof one): Promise<void> {
    for (let at = 0; at < sent.length;) at += await to!.write(sent.subarray(at));
  }
  async function receive(from: typeof one): Promise<void> {
    const received = new Uint8Array(sent.length);
    for (let at = 0; at < sent.length;) at += await from!.read(received.subarray(at)) ?? Infinity;
    assert.deepEqual(received, sent);
  }
  await Promise.all([send(one), receive(other), send(other), receive(one)]);
  const end = other!.read(new Uint8Array(1));
  one!.close();
  assert.equal(await end, null);
  other!.close();
});

Deno.test("fdDuplex().close() ends a pending read and write, and closes once they are over", async () => {
  const [socket, peer] = socketPair();
  using _peer = peer;
  const duplex = fdDuplex(socket);
  const filling = (async () => {
    for (;;) await duplex.write(new Uint8Array(1 << 20));
  })();
  const pending = [duplex.read(new Uint8Array(1)), filling].map((each) => assert.rejects(each, /was closed/));
  await new Promise((resolve) => setTimeout(resolve, 5));
  duplex.close();
  duplex.close();
  await Promise.all(pending);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.ok(!socket.isOpen);
  await assert.rejects(duplex.read(new Uint8Array(1)), /was closed/);
});
