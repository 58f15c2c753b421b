import assert from "node:assert/strict";
import { LEFT_OUT_FILE, leftOut, readLeftOut } from "../src/base/testing/left_out.ts";
import { explain, formatReasons, readSkipped } from "./skips.ts";

const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="5" failures="0" errors="0" time="0.045">
  <testsuite name="./a_test.ts" tests="5" disabled="4" errors="0" failures="0">
    <testcase name="x &lt;y&gt; &amp; &quot;z&quot;" classname="./a_test.ts" time="0.000" line="1" col="6">
      <skipped/>
    </testcase>
    <testcase name="runs" classname="./a_test.ts" time="0.003" line="2" col="6">
    </testcase>
    <testcase name="runs &gt; not" classname="./a_test.ts" time="0.000" line="2" col="37">
      <skipped/>
    </testcase>
    <testcase name="runs &gt; does" classname="./a_test.ts" time="0.000" line="2" col="85">
    </testcase>
    <testcase name="other" classname="./b_test.ts" time="0.000" line="3" col="23">
      <skipped/>
    </testcase>
  </testsuite>
</testsuites>`;

Deno.test("readSkipped() finds tests and steps by their names and files", () => {
  assert.deepEqual(readSkipped(REPORT), [
    { name: 'x <y> & "z"', file: "./a_test.ts" },
    { name: "runs > not", file: "./a_test.ts" },
    { name: "other", file: "./b_test.ts" },
  ]);
});

Deno.test("explain() takes the reason of the test, else those of its file, and finds who has none", () => {
  const told = [
    { of: "runs > not", why: "its own" },
    { of: "./a_test.ts", why: "the file's" },
    { of: "./a_test.ts", why: "another" },
    { of: "./a_test.ts", why: "another" },
  ];
  const { reasons, untold } = explain(readSkipped(REPORT), told);
  assert.deepEqual([...reasons], [["the file's; or another", 1], ["its own", 1]]);
  assert.deepEqual(untold.map(({ name }) => name), ["other"]);
});

Deno.test("formatReasons() puts the commonest first", () => {
  assert.deepEqual(formatReasons(new Map([["rare", 1], ["common", 12]])), [
    "   12 skipped: common",
    "    1 skipped: rare",
  ]);
});

Deno.test("leftOut() tells test and reason to the file that the runner names, nothing of what runs", () => {
  const path = Deno.makeTempFileSync();
  const before = Deno.env.get(LEFT_OUT_FILE);
  try {
    Deno.env.set(LEFT_OUT_FILE, path);
    assert.ok(leftOut({ name: "a > b" }, "is slow"));
    assert.ok(!leftOut({ name: "c" }, undefined));
    assert.ok(leftOut(import.meta, "has no root"));
    assert.deepEqual(readLeftOut(Deno.readTextFileSync(path)), [
      { of: "a > b", why: "is slow" },
      { of: "./scripts/skips_test.ts", why: "has no root" },
    ]);
  } finally {
    if (before === undefined) Deno.env.delete(LEFT_OUT_FILE);
    else Deno.env.set(LEFT_OUT_FILE, before);
    Deno.removeSync(path);
  }
});
