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
