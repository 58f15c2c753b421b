import assert from "node:assert/strict";
import type { Duplex } from "../transport/duplex.ts";
import { FrameChannel } from "./channel.ts";
import { type Frame, FrameEncoder } from "./frame.ts";

const KIND = { type: 1, flags: 0 };

/** A stream that gives these frames in one read, and ends; what is written is noted. */
function streamOf(frames: number, onWrite: (bytes: Uint8Array) => void): Duplex {
  const encoder = new FrameEncoder();
  for (let id = 1; id <= frames; id++) encoder.frame(id, KIND, new Uint8Array(4));
  let rest: Uint8Array | undefined = encoder.take().slice();
  return {
    read: (buffer: Uint8Array) => {
      const bytes = rest;
      rest = undefined;
      if (bytes !== undefined) buffer.set(bytes);
      return Promise.resolve(bytes?.length ?? null);
    },
    write: (bytes: Uint8Array) => {
      onWrite(bytes);
      return Promise.resolve(bytes.length);
    },
    close: () => {},
  } as unknown as Duplex;
}

Deno.test("FrameChannel.receive() writes what a run of frames set off before it hands over the next, however long that takes promises", async () => {
  const order: string[] = [];
  const channel = new FrameChannel(streamOf(17, () => order.push("write")));
  const answer = async (frame: Frame) => {
    const { streamId } = frame;
    for (let step = 0; step < 100; step++) await undefined;
    channel.send(streamId, KIND, new Uint8Array(1));
  };
  await channel.receive((frame) => {
    order.push("frame");
    void answer(frame);
  });
  const frames = (count: number) => Array<string>(count).fill("frame");
  assert.deepEqual(order.slice(0, 19), [...frames(4), "write", ...frames(8), "write", ...frames(5)]);
  channel.close();
});

Deno.test("atk3 1: FrameChannel.room() is one promise for all who wait for a peer that reads nothing", async () => {
  const written = Promise.withResolvers<void>();
  const duplex = streamOf(0, () => {});
  duplex.write = async (bytes) => {
    await written.promise;
    return bytes.length;
  };
  const channel = new FrameChannel(duplex);
  for (let id = 1; id < 20; id += 2) channel.send(id, KIND, new Uint8Array(1 << 20));
  await undefined;
  for (let id = 21; id < 40; id += 2) channel.send(id, KIND, new Uint8Array(1 << 20));
  assert.ok(channel.isCrowded);
  const room = channel.room();
  assert.equal(channel.room(), room);
  written.resolve();
  await room;
  assert.ok(!channel.isCrowded);
});
