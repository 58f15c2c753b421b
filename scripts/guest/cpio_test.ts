import assert from "node:assert/strict";
import { type CpioEntry, packCpio } from "./cpio.ts";

const ENTRIES: CpioEntry[] = [
  { kind: "directory", path: "dev", mode: 0o755 },
  { kind: "character device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
  { kind: "file", path: "init", mode: 0o755, data: new TextEncoder().encode("hello") },
];

Deno.test("packCpio() writes headers, names and data padded to four bytes, and the trailer", () => {
  const text = new TextDecoder().decode(packCpio(ENTRIES));
  const headers = [...text.matchAll(/070701([0-9a-f]{104})([^\0]+)\0/g)].map(([, fields, name]) => ({
    name,
    mode: parseInt(fields!.slice(8, 16), 16),
    bytes: parseInt(fields!.slice(48, 56), 16),
    device: [parseInt(fields!.slice(72, 80), 16), parseInt(fields!.slice(80, 88), 16)],
  }));
  assert.deepEqual(headers, [
    { name: "dev", mode: 0o40755, bytes: 0, device: [0, 0] },
    { name: "dev/console", mode: 0o20600, bytes: 0, device: [5, 1] },
    { name: "init", mode: 0o100755, bytes: 5, device: [0, 0] },
    { name: "TRAILER!!!", mode: 0, bytes: 0, device: [0, 0] },
  ]);
  assert.equal(text.length % 4, 0);
});

Deno.test("packCpio() gives the same bytes for the same entries", () => {
  assert.deepEqual(packCpio(ENTRIES), packCpio(ENTRIES));
});
