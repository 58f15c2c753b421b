import assert from "node:assert/strict";
import { createLogger, parseLevel } from "./log.ts";

function recorder() {
  const lines: Record<string, unknown>[] = [];
  return { lines, sink: (line: string) => lines.push(JSON.parse(line)) };
}

Deno.test("createLogger() writes one record with the fields of the child and of the call", () => {
  const { lines, sink } = recorder();
  const log = createLogger({ sink, fields: { name: "kata" }, now: () => new Date(0) });
  log.child({ sandbox: "s1" }).info("VM started", { took: 5n });
  const expected = { msg: "VM started", level: "INFO", ts: "1970-01-01T00:00:00.000Z", pid: Deno.pid };
  assert.deepEqual(lines, [{ ...expected, name: "kata", sandbox: "s1", took: "5" }]);
});

Deno.test("createLogger() drops records below its level and prints error chains", () => {
  const { lines, sink } = recorder();
  const log = createLogger({ sink, level: "warning" });
  log.info("unseen");
  log.error("seen", { error: new Error("a", { cause: new Error("b") }) });
  assert.deepEqual(lines.map(({ msg, error }) => [msg, error]), [["seen", "a: b"]]);
});

Deno.test.each([
  { name: "warn", level: "warning" },
  { name: "PANIC", level: "critical" },
  { name: "trace", level: "trace" },
])("parseLevel($name) is $level", ({ name, level }) => assert.equal(parseLevel(name), level));

Deno.test("parseLevel() names the levels it knows", () => {
  assert.throws(() => parseLevel("loud"), /"loud": known are trace, debug/);
});

Deno.test("F17: createLogger() writes 100 lines of one kind in ten seconds, and how many it left out", () => {
  const { lines, sink } = recorder();
  let ms = 0;
  const log = createLogger({ sink, now: () => new Date(ms) });
  for (let line = 0; line < 100_000; line++) log.child({ line }).warning("flood", { line });
  log.warning("another kind");
  assert.equal(lines.length, 101);
  ms = 10_000;
  log.info("later");
  assert.deepEqual(lines.slice(101).map(({ msg, kind, lines }) => ({ msg, kind, lines })), [
    { msg: "Lines of one kind were left out", kind: "warning flood", lines: 99_900 },
    { msg: "later", kind: undefined, lines: undefined },
  ]);
  for (let line = 0; line < 200; line++) log.warning("flood");
  ms = 20_000;
  log.warning("flood");
  assert.equal(lines.at(-1)?.suppressed, 100);
});

Deno.test("F17: createLogger() bounds each line, whatever its fields hold", () => {
  const texts: string[] = [];
  const log = createLogger({ sink: (line) => texts.push(line) });
  log.info("long text", { text: "x".repeat(10 << 20) });
  log.info("long error", { error: new Error("x".repeat(10 << 20), { cause: new Error("y".repeat(10 << 20)) }) });
  log.info("many texts", { texts: Array(1000).fill("x".repeat(1000)) });
  assert.ok(texts.every((line) => line.length <= 64 << 10));
  assert.deepEqual(texts.map((line) => JSON.parse(line).msg), ["long text", "long error", "many texts"]);
  assert.ok(JSON.parse(texts[2]!).cut > 1_000_000);
});

Deno.test("F17: what another program says is one kind, and takes no room from others", () => {
  const { lines, sink } = recorder();
  const log = createLogger({ sink });
  for (let line = 0; line < 1000; line++) log.info(`virtio: bogus descriptor ${line}`, { source: "qemu" });
  assert.equal(lines.length, 100);
  for (let line = 0; line < 100; line++) log.info("Container is created");
  assert.equal(lines.length, 200);
});
