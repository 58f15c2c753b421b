import assert from "node:assert/strict";
import { eventfd, Fd, O_RDWR, pipe } from "./fd.ts";
import { readable, readableFor, readNow, readSome, waitBeside, waitInPlace, writable, writeAll } from "./poll.ts";
import { spawn } from "../process/spawn.ts";
import { openPty } from "./tty.ts";

const encoder = new TextEncoder();

function nonblockingPipe() {
  const ends = pipe();
  ends.read.setNonblocking();
  ends.write.setNonblocking();
  return ends;
}

Deno.test("readable() waits for data", async () => {
  using ends = nonblockingPipe();
  let isReady = false;
  const waiting = readable(ends.read).then(() => isReady = true);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(!isReady);
  ends.write.write(encoder.encode("x"));
  await waiting;
});

Deno.test("readable() ends at hangup", async () => {
  using ends = nonblockingPipe();
  const waiting = readable(ends.read);
  ends.write[Symbol.dispose]();
  await waiting;
});

Deno.test("readable() ends with its signal, others go on waiting for the same descriptor", async () => {
  using counter = eventfd();
  const aborting = new AbortController();
  const aborted = readable(counter, { signal: aborting.signal });
  const other = readable(counter);
  aborting.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
  counter.write(new Uint8Array(BigUint64Array.of(1n).buffer));
  await other;
});

Deno.test("readable() ends with its signal although another wait begins at once", async () => {
  using first = eventfd();
  using second = eventfd();
  const aborting = new AbortController();
  const aborted = assert.rejects(readable(first, { signal: aborting.signal }), /enough/);
  aborting.abort(new Error("enough"));
  await Promise.resolve();
  const other = readable(second);
  await aborted;
  second.write(new Uint8Array(BigUint64Array.of(1n).buffer));
  await other;
});

Deno.test("readable() with a signal that fired already does not wait", async () => {
  using counter = eventfd();
  await assert.rejects(readable(counter, { signal: AbortSignal.abort(new Error("before")) }), /before/);
});

Deno.test("readable() of a number that was closed and opened anew waits for the new file", async () => {
  for (let round = 0; round < 3; round++) {
    using ends = nonblockingPipe();
    const waiting = readable(ends.read);
    ends.write.write(encoder.encode("x"));
    await waiting;
  }
});

Deno.test("readable() and writable() wait for one descriptor at once", async () => {
  const { master, slave } = openPty();
  using _master = master;
  using _slave = slave;
  const reading = readable(master);
  await writable(master);
  slave.write(encoder.encode("x"));
  await reading;
});

Deno.test("readable() of what is always ready returns", async () => {
  const path = Deno.makeTempFileSync();
  using file = Fd.open(path, O_RDWR);
  Deno.removeSync(path);
  await readable(file);
});

Deno.test("readable() of many descriptors wakes each", async () => {
  using stack = new DisposableStack();
  const counters = Array.from({ length: 200 }, () => stack.use(eventfd()));
  const waiting = Promise.all(counters.map((counter) => readable(counter)));
  for (const counter of counters) counter.write(new Uint8Array(BigUint64Array.of(1n).buffer));
  await waiting;
});

Deno.test("readSome() and writeAll() move more than a pipe holds", async () => {
  using ends = nonblockingPipe();
  const sent = crypto.getRandomValues(new Uint8Array(50_000));
  const rounds = 20;
  const writing = (async () => {
    for (let round = 0; round < rounds; round++) await writeAll(ends.write, sent);
    ends.write[Symbol.dispose]();
  })();
  const buffer = new Uint8Array(8192);
  let length = 0;
  for (let got = -1; got !== 0; length += got) {
    got = await readSome(ends.read, buffer);
    for (let i = 0; i < got; i++) assert.equal(buffer[i], sent[(length + i) % sent.length]);
  }
  await writing;
  assert.equal(length, rounds * sent.length);
});

Deno.test("writeAll() says that the reader has gone", async () => {
  using ends = nonblockingPipe();
  ends.read[Symbol.dispose]();
  await assert.rejects(writeAll(ends.write, encoder.encode("x")), { message: "write: EPIPE" });
});

Deno.test("readSome() takes the hangup of a terminal for its end", async () => {
  const { master, slave } = openPty();
  using _master = master;
  master.setNonblocking();
  slave[Symbol.dispose]();
  assert.equal(await readSome(master, new Uint8Array(8)), 0);
});

Deno.test("a descriptor that is always ready lets others have their turn", async () => {
  using zero = Fd.open("/dev/null", O_RDWR);
  using ends = nonblockingPipe();
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const end = performance.now() + 50;
  while (performance.now() < end) {
    await writeAll(zero, encoder.encode("x"));
    await writeAll(ends.write, encoder.encode("x"));
    await readSome(ends.read, new Uint8Array(1));
  }
  clearInterval(timer);
  assert.ok(turns > 0);
});

Deno.test("waitInPlace() lets all stand still until the wait is over", () => {
  using ends = pipe();
  const child = spawn({ path: "sh", args: ["sh", "-c", "sleep 0.02; printf x"], fds: [{ child: 1, fd: ends.write }] });
  ends.write[Symbol.dispose]();
  waitInPlace();
  try {
    void readable(ends.read);
  } finally {
    waitBeside();
  }
  // No turn of the event loop is needed: what the child writes is there.
  assert.equal(readNow(ends.read, new Uint8Array(1)), 1);
  assert.deepEqual(child.waitSync(), { code: 0 });
});

Deno.test.each([{ isInPlace: false }, { isInPlace: true }])(
  "readableFor() tells whether something came, in place: $isInPlace",
  async ({ isInPlace }) => {
    using ends = pipe();
    if (isInPlace) waitInPlace();
    try {
      assert.ok(!(await readableFor(ends.read, 1)));
      ends.write.write(encoder.encode("x"));
      assert.ok(await readableFor(ends.read, 60_000));
    } finally {
      waitBeside();
    }
  },
);

Deno.test("readableFor() ends with its signal", async () => {
  using ends = pipe();
  const over = new AbortController();
  const waiting = readableFor(ends.read, 60_000, over);
  over.abort();
  assert.ok(!(await waiting));
  assert.ok(!(await readableFor(ends.read, 60_000, over)));
});
