import assert from "node:assert/strict";
import { LogRate } from "./log_rate.ts";

const most = 3;

function admitted(rate: LogRate, name: string, { now, times }: { now: number; times: number }) {
  return Array.from({ length: times }, () => rate.admit(name, { now, most }));
}

Deno.test("LogRate.admit() takes so many of a kind in ten seconds, and says with the next what was left out", () => {
  const rate = new LogRate();
  assert.deepEqual(admitted(rate, "a", { now: 0, times: 5 }), [0, 0, 0, undefined, undefined]);
  assert.deepEqual(admitted(rate, "b", { now: 9_999, times: 1 }), [0]);
  assert.deepEqual(admitted(rate, "a", { now: 9_999, times: 1 }), [undefined]);
  assert.deepEqual(admitted(rate, "a", { now: 10_000, times: 4 }), [3, 0, 0, undefined]);
});

Deno.test("LogRate.takeSilent() tells of each kind that fell silent once", () => {
  const rate = new LogRate();
  admitted(rate, "a", { now: 0, times: 10 });
  assert.deepEqual(rate.takeSilent(9_999), []);
  assert.deepEqual(rate.takeSilent(10_000), [{ kind: "a", lines: 7 }]);
  assert.deepEqual(rate.takeSilent(20_000), []);
  assert.deepEqual(admitted(rate, "a", { now: 20_000, times: 1 }), [0]);
});

Deno.test("LogRate.admit() goes on when the clock was set back", () => {
  const rate = new LogRate();
  admitted(rate, "a", { now: 1e12, times: 4 });
  assert.deepEqual(admitted(rate, "a", { now: 0, times: 1 }), [1]);
});

Deno.test("LogRate keeps 257 kinds at most: texts that are all different are one kind", () => {
  const rate = new LogRate();
  const lines = Array.from({ length: 10_000 }, (_, index) => rate.admit(`text ${index}`, { now: 0, most }));
  assert.equal(lines.filter((line) => line !== undefined).length, 256 + most);
  assert.deepEqual(rate.takeSilent(10_000), [{ kind: "others", lines: 10_000 - 256 - most }]);
});
