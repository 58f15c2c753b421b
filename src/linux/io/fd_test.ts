import assert from "node:assert/strict";
import { eventfd, Fd, memfd, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY, pipe } from "./fd.ts";

const text = new TextEncoder();

Deno.test("Fd.open() names the path and the errno", () => {
  assert.throws(() => Fd.open("/no/such", O_RDONLY), { code: "ENOENT", message: "open /no/such: ENOENT" });
});

Deno.test("Fd.open() refuses a NUL in the path", () => {
  assert.throws(() => Fd.open("/etc\0/passwd", O_RDONLY), TypeError);
});

Deno.test("Fd closes once, and says so when it is used afterwards", () => {
  const fd = Fd.open("/dev/null", O_RDWR);
  fd[Symbol.dispose]();
  fd[Symbol.dispose]();
  assert.ok(!fd.isOpen);
  assert.throws(() => fd.number, /after its end/);
});

Deno.test("Fd.release() leaves the descriptor open", () => {
  const fd = Fd.open("/dev/null", O_WRONLY);
  using again = new Fd(fd.release());
  assert.ok(!fd.isOpen);
  assert.equal(again.write(text.encode("x")), 1);
});

Deno.test("Fd.dup() shares the open file", () => {
  using ends = pipe();
  using second = ends.write.dup();
  second.writeAll(text.encode("hello"));
  const buffer = new Uint8Array(16);
  assert.equal(ends.read.read(buffer), 5);
});

Deno.test("Fd.openAt() opens below a directory with the given mode", () => {
  const path = Deno.makeTempDirSync();
  try {
    using directory = Fd.open(path, O_RDONLY);
    Fd.openAt(directory, "new", { flags: O_CREAT | O_WRONLY, mode: 0o600 })[Symbol.dispose]();
    assert.equal(Deno.statSync(`${path}/new`).mode! & 0o777, 0o600);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
});

Deno.test("Fd.setNonblocking() makes an empty pipe say EAGAIN", () => {
  using ends = pipe();
  ends.read.setNonblocking();
  assert.throws(() => ends.read.read(new Uint8Array(1)), { code: "EAGAIN", syscall: "read" });
  ends.read.setBlocking();
  ends.write.writeAll(text.encode("x"));
  assert.equal(ends.read.read(new Uint8Array(1)), 1);
});

Deno.test("eventfd() counts", () => {
  using fd = eventfd(2);
  const count = new BigUint64Array(1);
  assert.equal(fd.read(new Uint8Array(count.buffer)), 8);
  assert.equal(count[0], 2n);
});

Deno.test("memfd() starts at the beginning of its content", () => {
  using fd = memfd("test", text.encode("content"));
  const buffer = new Uint8Array(16);
  assert.equal(fd.read(buffer), 7);
});
