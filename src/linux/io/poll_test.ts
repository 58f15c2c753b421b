import assert from "node:assert/strict";
import { eventfd, Fd, O_RDWR, pipe } from "./fd.ts";
import { configurePolling, leaveInlinePolling, readable, readableFor, readSome, writable, writeAll } from "./poll.ts";
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

/** Runs a program of its own, as the way to wait is chosen once. @returns What it printed. */
async function runProgram(lines: string): Promise<string> {
  const program = `import * as poll from "${import.meta.resolve("./poll.ts")}";
    import { readNow } from "${import.meta.resolve("./poll.ts")}";
    import { pipe } from "${import.meta.resolve("./fd.ts")}";
    import { spawn } from "${import.meta.resolve("../process/spawn.ts")}";
    const say = (text) => Deno.stdout.writeSync(new TextEncoder().encode(text));
    const attempt = (run) => { try { run(); } catch (error) { say(error.message + ";"); } };
    ${lines}`;
  const args = ["eval", "--quiet", "--no-lock", program];
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test('configurePolling("inline") lets all stand still until the wait is over', async () => {
  const said = await runProgram(`
    poll.configurePolling("inline");
    const ends = pipe();
    spawn({ path: "sh", args: ["sh", "-c", "sleep 0.02; printf x"], fds: [{ child: 1, fd: ends.write }] });
    ends.write[Symbol.dispose]();
    void poll.readable(ends.read);
    // No turn of the event loop is needed: what the child writes is there.
    say(String(readNow(ends.read, new Uint8Array(1))));
    Deno.exit(0);`);
  assert.equal(said, "1");
});

Deno.test("readableFor() tells whether something came", async () => {
  using ends = pipe();
  assert.ok(!(await readableFor(ends.read, 1)));
  ends.write.write(encoder.encode("x"));
  assert.ok(await readableFor(ends.read, 60_000));
});

Deno.test("readableFor() tells whether something came, inline", async () => {
  const said = await runProgram(`
    poll.configurePolling("inline");
    using ends = pipe();
    say(String(await poll.readableFor(ends.read, 1)));
    ends.write.write(new Uint8Array(1));
    say(String(await poll.readableFor(ends.read, 60_000)));`);
  assert.equal(said, "falsetrue");
});

Deno.test("readableFor() ends with its signal", async () => {
  using ends = pipe();
  const over = new AbortController();
  const waiting = readableFor(ends.read, 60_000, over);
  over.abort();
  assert.ok(!(await waiting));
  assert.ok(!(await readableFor(ends.read, 60_000, over)));
});

Deno.test("configurePolling() is for the beginning: one way, before anything is waited for", async () => {
  const said = await runProgram(`
    attempt(() => poll.leaveInlinePolling());
    poll.configurePolling("inline");
    poll.configurePolling("inline");
    attempt(() => poll.configurePolling("thread"));
    poll.leaveInlinePolling();
    attempt(() => poll.configurePolling("inline"));`);
  assert.equal(
    said,
    'Cannot stop to wait "inline": this program waits "thread";' +
      'Cannot wait "thread": this program waits "inline" already;' +
      'Cannot wait "inline": this program waits "thread" already;',
  );
});

Deno.test("configurePolling() comes too late after a wait", async () => {
  using ends = nonblockingPipe();
  ends.write.write(encoder.encode("x"));
  await readable(ends.read);
  assert.throws(() => configurePolling("inline"), /this program waits "thread" already/);
  assert.throws(() => leaveInlinePolling(), /Cannot stop to wait "inline"/);
});

Deno.test("F2: closing a descriptor ends the waits for it with an error, and another file of its number is waited for", async () => {
  const ends = nonblockingPipe();
  const waiting = [readable(ends.read), readable(ends.read), writable(ends.read)].map((wait) =>
    assert.rejects(wait, /closed/)
  );
  const { number } = ends.read;
  ends.read[Symbol.dispose]();
  ends.write[Symbol.dispose]();
  using counter = eventfd();
  using same = counter.number === number ? undefined : eventfd();
  assert.ok([counter.number, same?.number].includes(number), "the number is free for the next file");
  const next = counter.number === number ? counter : same!;
  const other = readable(next);
  await Promise.all(waiting);
  next.write(new Uint8Array(BigUint64Array.of(1n).buffer));
  await other;
});

Deno.test("F2: giving a descriptor away ends the waits for it", async () => {
  using ends = nonblockingPipe();
  const waiting = assert.rejects(readable(ends.read), /closed/);
  using _other = new Fd(ends.read.release());
  await waiting;
});
