import assert from "node:assert/strict";
import { bind } from "../ffi/libc.ts";
import { Fd, O_RDONLY } from "./fd.ts";
import { isTerminal, newTerminalSettings, openPty, rawMode, setWindowSize, windowSize } from "./tty.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const libc = bind({ ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" } });

function kernelSettings(fd: Fd): Uint8Array {
  const [TCGETS, settings] = [0x5401, new Uint8Array(36)];
  assert.equal(libc.ioctl(fd.number, TCGETS, settings), 0);
  return settings;
}

function readText(fd: Fd): string {
  const buffer = new Uint8Array(64);
  return decoder.decode(buffer.subarray(0, fd.read(buffer)));
}

Deno.test("openPty() translates line ends, and rawMode() takes what is typed as it is until disposed", () => {
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
    assert.equal(readText(master), "b\r\n");
    master.writeAll(encoder.encode("\r"));
    assert.equal(readText(slave), "\r");
  }
  master.writeAll(encoder.encode("\r"));
  assert.equal(readText(slave), "\n");
  assert.equal(readText(master), "\r\n"); // its echo
});

Deno.test("newTerminalSettings() are the kernel's own, whose line ends are returned", () => {
  const { master, slave } = openPty();
  using _master = master;
  using _slave = slave;
  assert.deepEqual(kernelSettings(slave), newTerminalSettings("returned"));
  assert.notDeepEqual(kernelSettings(slave), newTerminalSettings("kept"));
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
