import assert from "node:assert/strict";
import { errorCode } from "../../base/error.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { readSome } from "../../linux/io/poll.ts";
import { ProcessStdio } from "./stdio.ts";

const never = new AbortController();

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function decode(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

interface Piped extends Disposable {
  streams: ProcessStdio;
  child: { stdin: Fd; stdout: Fd; stderr: Fd };
}

function openPiped(): Piped {
  const { streams, child } = ProcessStdio.pipes();
  return {
    streams,
    child,
    [Symbol.dispose]() {
      streams[Symbol.dispose]();
      child[Symbol.dispose]();
    },
  };
}

Deno.test("ProcessStdio.read() gives what is there, and nothing at the end", async () => {
  using piped = openPiped();
  const { streams, child } = piped;
  const reading = streams.read("stdout", 100, never);
  child.stdout.write(encode("one"));
  assert.equal(decode(await reading), "one");
  child.stdout.write(encode("two"));
  child.stdout[Symbol.dispose]();
  assert.equal(decode(await streams.read("stdout", 2, never)), "tw");
  assert.equal(decode(await streams.read("stdout", 2, never)), "o");
  assert.equal((await streams.read("stdout", 2, never)).length, 0);
  assert.equal((await streams.read("stdout", 2, never)).length, 0);
  assert.ok(!streams.isDrained);
  child.stderr[Symbol.dispose]();
  assert.equal((await streams.read("stderr", 2, never)).length, 0);
  assert.ok(streams.isDrained);
});

Deno.test("ProcessStdio.read() loses nothing to a call that was given up", async () => {
  using piped = openPiped();
  const abort = new AbortController();
  const reading = piped.streams.read("stdout", 100, abort);
  abort.abort(new Error("caller has gone"));
  await assert.rejects(reading, { message: "caller has gone" });
  piped.child.stdout.write(encode("kept"));
  assert.equal(decode(await piped.streams.read("stdout", 100, never)), "kept");
});

Deno.test("ProcessStdio.read() ends after the process, though a left-behind child holds the stream open", async () => {
  using piped = openPiped();
  const reading = piped.streams.read("stdout", 100, never);
  piped.streams.processExited();
  piped.child.stdout.write(encode("late"));
  assert.equal(decode(await reading), "late");
  assert.equal((await piped.streams.read("stdout", 100, never)).length, 0);
});

Deno.test("ProcessStdio.write() waits for a process that does not read, and writes everything in order", async () => {
  using piped = openPiped();
  const { streams, child } = piped;
  child.stdin.setNonblocking();
  const data = crypto.getRandomValues(new Uint8Array(60_000));
  const writing = Promise.all([1, 2, 3, 4, 5].map(() => streams.write(data, never))).then(() => streams.closeInput());
  const read = new Uint8Array(5 * data.length);
  for (let at = 0; at < read.length;) {
    at += await readSome(child.stdin, read.subarray(at));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await writing;
  assert.equal(child.stdin.read(new Uint8Array(1)), 0);
  assert.deepEqual(read, new Uint8Array(await new Blob([data, data, data, data, data]).arrayBuffer()));
});

Deno.test("ProcessStdio.write() fails with FAILED_PRECONDITION once either side has closed", async () => {
  using piped = openPiped();
  piped.child.stdin[Symbol.dispose]();
  const isClosed = (error: unknown) => errorCode(error) === "FAILED_PRECONDITION";
  await assert.rejects(piped.streams.write(encode("x"), never), isClosed);
  await piped.streams.closeInput();
  await piped.streams.closeInput();
  await assert.rejects(piped.streams.write(encode("x"), never), isClosed);
});

Deno.test("ProcessStdio: disposing ends reads and writes that wait", async () => {
  using piped = openPiped();
  const { streams } = piped;
  const reading = streams.read("stdout", 100, never);
  const second = streams.read("stdout", 100, never);
  const writing = streams.write(new Uint8Array(1 << 20), never);
  const failing = assert.rejects(writing, (error) => errorCode(error) === "FAILED_PRECONDITION");
  await new Promise((resolve) => setTimeout(resolve, 5));
  streams[Symbol.dispose]();
  assert.deepEqual([(await reading).length, (await second).length], [0, 0]);
  await failing;
});

Deno.test("ProcessStdio.terminal throws UNAVAILABLE where there is none", () => {
  using piped = openPiped();
  assert.throws(() => piped.streams.terminal, (error) => errorCode(error) === "UNAVAILABLE");
});

Deno.test("pods A6: ProcessStdio.write() ends with the process, though a left-behind child holds its input open unread", async () => {
  using piped = openPiped();
  const writing = piped.streams.write(new Uint8Array(1 << 20), never);
  piped.streams.processExited();
  await assert.rejects(writing, { code: "FAILED_PRECONDITION" });
  await assert.rejects(piped.streams.write(new Uint8Array(1), never), { code: "FAILED_PRECONDITION" });
});
