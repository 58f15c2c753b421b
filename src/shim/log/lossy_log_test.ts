import assert from "node:assert/strict";
import { pipe } from "../../linux/io/fd.ts";
import { readNow } from "../../linux/io/poll.ts";
import { lossySink } from "./lossy_log.ts";

Deno.test("F17: lossySink() loses what a reader is too slow for, says how much, and every other line is whole", () => {
  using ends = pipe();
  ends.read.setNonblocking();
  ends.write.setNonblocking();
  const sink = lossySink(ends.write, (line) => `${line}\n`);
  let text = "";
  const read = () => {
    const buffer = new Uint8Array(1 << 20);
    for (let count; (count = readNow(ends.read, buffer)) !== undefined && count > 0;) {
      text += new TextDecoder().decode(buffer.subarray(0, count));
    }
  };
  for (let round = 0; round < 3; round++) {
    // Longer than what the kernel writes as a whole, and far more than a pipe holds.
    for (let line = 0; line < 100; line++) sink(JSON.stringify({ line: "x".repeat(7_000 + line) }), "info");
    read();
  }
  sink(JSON.stringify({ last: true }), "info");
  read();
  const lines = text.trim().split("\n");
  const records = lines.flatMap((line) => line.endsWith("}") ? [JSON.parse(line)] : []);
  const lost = records.reduce((sum, { lines = 0 }) => sum + lines, 0);
  const kept = records.filter(({ line }) => line !== undefined).length;
  assert.equal(lost + kept, 300);
  assert.ok(lost > 200 && kept > 20, `${lost} lost, ${kept} kept`);
  assert.ok(lines.length - records.length <= 3, "one torn line each time that the log was full");
  assert.deepEqual(records.at(-1), { last: true });
});
