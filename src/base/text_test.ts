import assert from "node:assert/strict";
import { cutText, plainText, quoted } from "./text.ts";

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

Deno.test.each([
  { name: "short", text: "abc" },
  { name: "as long as allowed", text: "x".repeat(128) },
  { name: "of long characters, as long as allowed", text: "€".repeat(42) },
])("cutText() leaves a text that is $name as it is", ({ text }) => assert.equal(cutText(text, 128), text));

Deno.test.each([
  { name: "letters", unit: "x" },
  { name: "three-byte characters", unit: "€" },
  { name: "surrogate pairs", unit: "😀" },
  { name: "lone surrogates", unit: "\ud83d" },
])("cutText() of $name stays within the bound, is well formed and says how long the text was", ({ unit }) => {
  for (const maxBytes of [64, 65, 66, 67, 4096]) {
    const cut = cutText(unit.repeat(100_000), maxBytes);
    assert.ok(bytesOf(cut) <= maxBytes && bytesOf(cut) > maxBytes - 4, `${bytesOf(cut)} bytes`);
    assert.ok(cut.isWellFormed());
    assert.match(cut, /… \(cut, [12]00000 characters in all\)$/);
  }
});

Deno.test("plainText() takes what a terminal obeys, and leaves letters, line ends and tabs", () => {
  assert.equal(plainText("a\tb\nÄ€😀\u00a0"), "a\tb\nÄ€😀\u00a0");
  assert.equal(plainText("a\u202eb\u2066c\u2028"), "a\ufffdb\ufffdc\ufffd");
  assert.equal(plainText("\x1b]0;owned\x07\r\x7f\x9b2J\0"), "\ufffd]0;owned\ufffd\ufffd\ufffd\ufffd2J\ufffd");
});

Deno.test("quoted() is one line of bounded length, whatever the text", () => {
  assert.equal(quoted("Ä€😀 a/b"), '"Ä€😀 a/b"');
  assert.equal(quoted('a"\n\x1b[2J\x9b\u202eb\ud83d'), String.raw`"a\"\n\u001b[2J\u009b\u202eb\ud83d"`);
  assert.equal(quoted("x".repeat(200)), `"${"x".repeat(200)}"`);
  assert.equal(quoted("x".repeat(4096)), `"${"x".repeat(200)}"… (cut, 4096 characters in all)`);
});
