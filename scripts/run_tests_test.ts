import assert from "node:assert/strict";
import { countJunit, formatCount } from "./run_tests.ts";

Deno.test("countJunit() counts errors as failures and skipped tests apart", () => {
  const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="5" failures="1" errors="1" time="0.1">
    <testsuite name="a"><testcase name="x"><skipped/></testcase></testsuite>
</testsuites>`;
  assert.deepEqual(countJunit(report), { passed: 2, failed: 2, skipped: 1 });
});

Deno.test("countJunit() of an empty report is nothing", () => {
  assert.deepEqual(countJunit(""), { passed: 0, failed: 0, skipped: 0 });
});

Deno.test.each([
  { count: { passed: 3, failed: 0, skipped: 0 }, text: "3 passed, 0 failed" },
  { count: { passed: 3, failed: 1, skipped: 2 }, text: "3 passed, 1 failed, 2 skipped" },
])("formatCount() words it as $text", ({ count, text }) => assert.equal(formatCount(count), text));
