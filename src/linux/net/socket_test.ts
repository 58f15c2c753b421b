import assert from "node:assert/strict";
import { memfd, pipe } from "../io/fd.ts";
import { acceptUnix, connectUnix, listenUnix, receiveFds, sendFds, socketPair, unixAddress } from "./socket.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

Deno.test("connectUnix() and acceptUnix() meet on a path", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    using listener = listenUnix(`${directory}/s`);
    const accepting = acceptUnix(listener);
    using client = connectUnix(`${directory}/s`);
    using server = await accepting;
    client.writeAll(encoder.encode("hello"));
    const buffer = new Uint8Array(16);
    assert.equal(decoder.decode(buffer.subarray(0, server.read(buffer))), "hello");
    assert.throws(() => listenUnix(`${directory}/s`), { code: "EADDRINUSE" });
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("connectUnix() names the path that nobody listens on", () => {
  assert.throws(() => connectUnix("/no/such"), { message: "connect /no/such: ENOENT" });
});

Deno.test("acceptUnix() ends with its signal", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    using listener = listenUnix(`${directory}/s`);
    await assert.rejects(acceptUnix(listener, { signal: AbortSignal.timeout(20) }), { name: "TimeoutError" });
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("unixAddress() refuses a path that the kernel would cut off", () => {
  assert.equal(unixAddress("/" + "x".repeat(106)).length, 110);
  assert.throws(() => unixAddress("/" + "x".repeat(107)), /108 bytes, at most 107/);
});

Deno.test.each([{ count: 0 }, { count: 1 }, { count: 2 }, { count: 253 }])(
  "sendFds() passes $count descriptors, receiveFds() owns them",
  ({ count }) => {
    const [left, right] = socketPair();
    using stack = new DisposableStack();
    stack.use(left);
    stack.use(right);
    const sent = Array.from(
      { length: count },
      (_, index) => stack.use(memfd("sent", encoder.encode(`content ${index}`))),
    );
    assert.equal(sendFds(left, encoder.encode("data"), sent), 4);
    const buffer = new Uint8Array(16);
    const { length, fds } = receiveFds(right, buffer);
    fds.forEach((fd) => stack.use(fd));
    assert.equal(decoder.decode(buffer.subarray(0, length)), "data");
    const contents = fds.map((fd) => decoder.decode(buffer.subarray(0, fd.read(buffer))));
    assert.deepEqual(contents, sent.map((_, index) => `content ${index}`));
  },
);

Deno.test("sendFds() refuses a message without data", () => {
  using ends = pipe();
  assert.throws(() => sendFds(ends.write, new Uint8Array(), []), RangeError);
});

Deno.test("receiveFds() reports the end of the stream", () => {
  const [left, right] = socketPair();
  using end = right;
  left[Symbol.dispose]();
  assert.deepEqual(receiveFds(end, new Uint8Array(8)), { length: 0, fds: [] });
});
