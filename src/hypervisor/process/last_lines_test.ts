import assert from "node:assert/strict";
import { LastLines } from "./last_lines.ts";

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

Deno.test("LastLines keeps the last lines, wherever the stream is cut", () => {
  const seen: string[] = [];
  const last = new LastLines(2, (line) => seen.push(line));
  for (const chunk of ["on", "e\ntwo\nth", "ree\r\n\nfour"]) last.push(bytes(chunk));
  assert.deepEqual(last.lines, ["two", "three"]);
  assert.deepEqual(last.tail(2), ["three", "four"]);
  last.end();
  assert.deepEqual(last.lines, ["three", "four"]);
  assert.deepEqual(seen, ["one", "two", "three", "four"]);
});

Deno.test("LastLines removes terminal sequences and bounds a line", () => {
  const last = new LastLines(5);
  last.push(bytes(`\x1bc\x1b[?7l\x1b[2Jred\x1b[31m!\x07\n`));
  last.push(bytes("x".repeat(10_000)));
  last.end();
  assert.deepEqual(last.lines.map((line) => line.slice(0, 6)), ["cred!", "xxxxxx"]);
  assert.equal(last.lines[1]?.length, 4096);
});
