import assert from "node:assert/strict";
import { Fd, O_RDONLY } from "./fd.ts";
import { isTerminal, openPty, rawMode, setWindowSize, windowSize } from "./tty.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function readText(fd: Fd): string {
  const buffer = new Uint8Array(64);
  return decoder.decode(buffer.subarray(0, fd.read(buffer)));
}

Deno.test("openPty() translates line ends, rawMode() leaves them alone until disposed", () => {
  const { master, slave, path } = openPty();
  using _master = master;
  using _slave = slave;
  assert.match(path, /^\/dev\/pts\/\d+$/);
  assert.ok(isTerminal(slave));
  slave.writeAll(encoder.encode("a\n"));
  assert.equal(readText(master), "a\r\n");
  {
    using _raw = rawMode(slave);
    slave.writeAll(encoder.encode("b\n"));
    assert.equal(readText(master), "b\n");
  }
  slave.writeAll(encoder.encode("c\n"));
  assert.equal(readText(master), "c\r\n");
});

Deno.test("setWindowSize() is seen by windowSize() on the other side", () => {
  const { master, slave } = openPty();
  using _master = master;
  using _slave = slave;
  setWindowSize(master, { rows: 24, columns: 80 });
  assert.deepEqual(windowSize(slave), { rows: 24, columns: 80 });
});

Deno.test("windowSize() says that a file is no terminal", () => {
  using file = Fd.open("/dev/null", O_RDONLY);
  assert.ok(!isTerminal(file));
  assert.throws(() => windowSize(file), { message: "TIOCGWINSZ: ENOTTY" });
});
