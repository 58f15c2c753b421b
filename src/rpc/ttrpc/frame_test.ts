import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Frame,
  FRAME_TYPE,
  FrameDecoder,
  FrameEncoder,
  HEADER_BYTES,
  isLaterStreamId,
  MAX_DATA_BYTES,
} from "./frame.ts";

/** Feeds `bytes` in pieces of the given sizes (again and again) and takes frames after each, as a connection does. */
function decode(bytes: Uint8Array, chunkSizes: readonly number[]): Frame[] {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  let at = 0;
  for (let chunk = 0; at < bytes.length; chunk++) {
    const space = decoder.space();
    assert.ok(space.length > 0);
    const piece = bytes.subarray(at, at + Math.min(chunkSizes[chunk % chunkSizes.length]!, space.length));
    space.set(piece);
    decoder.filled(piece.length);
    at += piece.length;
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(frame);
  }
  return frames;
}

function encode(frames: readonly Omit<Frame, "skippedBytes">[]): Uint8Array {
  const encoder = new FrameEncoder();
  for (const { streamId, type, flags, data } of frames) encoder.frame(streamId, { type, flags }, data);
  return encoder.take();
}

function header(length: number, streamId: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  new DataView(bytes.buffer).setUint32(0, length);
  new DataView(bytes.buffer).setUint32(4, streamId);
  bytes[8] = FRAME_TYPE.request;
  return bytes;
}

const anyFrame = fc.record({
  streamId: fc.integer({ min: 0, max: 0xffff_ffff }),
  type: fc.integer({ min: 0, max: 255 }),
  flags: fc.integer({ min: 0, max: 255 }),
  data: fc.oneof(
    { weight: 9, arbitrary: fc.uint8Array({ maxLength: 100 }) },
    { weight: 1, arbitrary: fc.integer({ max: 200_000, min: 0 }).map((size) => new Uint8Array(size).fill(7)) },
  ),
  skippedBytes: fc.constant(0),
}, { noNullPrototype: true });
const anyChunking = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 5 });

Deno.test("FrameDecoder gives the frames of FrameEncoder, however the bytes are cut", () => {
  fc.assert(fc.property(fc.array(anyFrame), anyChunking, (frames, chunkSizes) => {
    assert.deepEqual(decode(encode(frames), chunkSizes), frames);
  }));
});

Deno.test("FrameDecoder takes any bytes, and the same frames from them however they are cut", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), anyChunking, (bytes, chunkSizes) => {
    assert.deepEqual(decode(bytes, chunkSizes), decode(bytes, [1]));
  }));
});

Deno.test("FrameDecoder leaves a frame's data alone when more frames come", () => {
  const data = new Uint8Array(1000).fill(1);
  const first = encode([{ streamId: 1, type: 1, flags: 0, data }]);
  const more = encode(Array(200).fill({ streamId: 3, type: 1, flags: 0, data: new Uint8Array(1000).fill(2) }));
  const frames = decode(new Uint8Array([...first, ...more]), [5000]);
  assert.equal(frames.length, 201);
  assert.deepEqual(frames[0]!.data, data);
});

Deno.test("FrameDecoder skips a frame beyond 4 MiB and goes on with the next", () => {
  const tooLong = MAX_DATA_BYTES + 1;
  const bytes = new Uint8Array(HEADER_BYTES + tooLong + HEADER_BYTES + 3);
  bytes.set(header(tooLong, 5));
  bytes.set(header(3, 7), HEADER_BYTES + tooLong);
  for (const chunkSizes of [[1 << 16], [11], [bytes.length]]) {
    const [skipped, next, ...rest] = decode(bytes, chunkSizes);
    assert.deepEqual(skipped, { streamId: 5, type: 1, flags: 0, data: new Uint8Array(), skippedBytes: tooLong });
    assert.deepEqual(next, { streamId: 7, type: 1, flags: 0, data: new Uint8Array(3), skippedBytes: 0 });
    assert.equal(rest.length, 0);
  }
});

Deno.test("FrameDecoder takes a frame of exactly 4 MiB", () => {
  const [frame] = decode(encode([{ streamId: 1, type: 1, flags: 0, data: new Uint8Array(MAX_DATA_BYTES) }]), [1 << 16]);
  assert.equal(frame?.data.length, MAX_DATA_BYTES);
});

Deno.test("FrameEncoder refuses data beyond 4 MiB, whichever parts it comes in", () => {
  const encoder = new FrameEncoder();
  const half = new Uint8Array(MAX_DATA_BYTES / 2 + 1);
  assert.throws(() => encoder.frame(1, { type: 1, flags: 0 }, half, half), RangeError);
  assert.equal(encoder.length, 0);
});

Deno.test("FrameEncoder keeps the bytes of the last take() while new frames are added", () => {
  const encoder = new FrameEncoder();
  encoder.frame(1, { type: 1, flags: 0 }, new Uint8Array([1]));
  const taken = encoder.take();
  encoder.frame(3, { type: 1, flags: 0 }, new Uint8Array([2]));
  assert.deepEqual([...taken], [0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 1]);
});

Deno.test.each([
  { id: 3, other: 1, later: true },
  { id: 1, other: 1, later: false },
  { id: 1, other: 3, later: false },
  { id: 1, other: 0xffff_ffff, later: true },
  { id: 0xffff_ffff, other: 1, later: false },
  { id: 0x8000_0001, other: 3, later: true },
])("isLaterStreamId($id, $other) is $later", ({ id, other, later }) => {
  assert.equal(isLaterStreamId(id, other), later);
});
