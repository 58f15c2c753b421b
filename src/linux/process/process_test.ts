import assert from "node:assert/strict";
import fc from "fast-check";
import { getOomScoreAdj, parseProcessStat, readProcessStat } from "./process.ts";

Deno.test("readProcessStat() knows ourselves", () => {
  const stat = readProcessStat("self");
  assert.equal(stat?.pid, Deno.pid);
  assert.equal(stat.parent, Deno.ppid);
  assert.ok(stat.startTime > 0n);
});

Deno.test("readProcessStat() has nothing to say about a process that is not there", () => {
  assert.equal(readProcessStat(2 ** 22 + 1), undefined);
});

Deno.test("parseProcessStat() finds its way around any name", () => {
  const numbers = Array.from({ length: 48 }, (_, index) => index + 1).join(" ");
  fc.assert(fc.property(fc.string({ maxLength: 15 }), (comm) => {
    const stat = parseProcessStat(`7 (${comm}) S 1 2 3 ${numbers}\n`);
    assert.deepEqual([stat.pid, stat.comm, stat.state, stat.session], [7, comm, "S", 3]);
    assert.equal(stat.startTime, 16n);
  }));
});

Deno.test("parseProcessStat() refuses what is no row", () => {
  assert.throws(() => parseProcessStat("7 sleep S"), SyntaxError);
});

Deno.test("getOomScoreAdj() is in its range", () => {
  const value = getOomScoreAdj();
  assert.ok(value >= -1000 && value <= 1000);
});
