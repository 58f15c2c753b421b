import assert from "node:assert/strict";
import { parseSize } from "./size.ts";

Deno.test.each([
  { size: "0", bytes: 0 },
  { size: "512", bytes: 512 },
  { size: "64k", bytes: 65536 },
  { size: "2M", bytes: 2 << 20 },
  { size: "1GiB", bytes: 1 << 30 },
  { size: " 3 MB ", bytes: 3 << 20 },
])("parseSize($size) is $bytes", ({ size, bytes }) => assert.equal(parseSize(size), bytes));

Deno.test.each([{ size: "" }, { size: "-1" }, { size: "1.5G" }, { size: "5X" }, { size: "99999999P" }])(
  "parseSize($size) is refused",
  ({ size }) => assert.throws(() => parseSize(size), RangeError),
);
