import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, fitTrend, grows, leastOfEach, type Sample, Series } from "./soak_trend.ts";

/** A figure by round, with noise that comes and goes. */
function series(value: (round: number) => number, rounds = 40): Sample[] {
  return Array.from({ length: rounds }, (_, round) => ({ round, value: value(round) }));
}

const NOISE = [0, 3, -2, 1, -3, 2, -1];
function noise(round: number): number {
  return NOISE[round % NOISE.length]!;
}

Deno.test("fitTrend() finds the slope of any line exactly", () => {
  fc.assert(fc.property(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: -9, max: 9 }), (start, slope) => {
    const { perRound, error, first, last } = fitTrend(series((round) => start + slope * round));
    assert.ok(Math.abs(perRound - slope) < 1e-9 && error < 1e-6);
    assert.ok(Math.abs(first - start) < 1e-6 && Math.abs(last - start - 39 * slope) < 1e-6);
  }));
});

const BOUND = { perRound: 0.05, slack: 2 };

Deno.test.each([
  { what: "a leak in each round", value: (round: number) => round, leaks: true },
  { what: "a leak in every fifth round", value: (round: number) => Math.floor(round / 5), leaks: true },
  { what: "a leak under noise", value: (round: number) => 100 + round + noise(round), leaks: true },
  { what: "noise", value: noise, leaks: false },
  { what: "nothing", value: () => 7, leaks: false },
  { what: "what is there once", value: (round: number) => round < 20 ? 5 : 6, leaks: false },
  { what: "what gets less", value: (round: number) => -round, leaks: false },
])("grows() of $what is $leaks", ({ value, leaks }) => {
  assert.equal(grows(fitTrend(series(value)), BOUND), leaks);
});

Deno.test("leastOfEach() takes the floor of each group, with its round", () => {
  const samples = [3, 1, 2, 9, 8].map((value, round) => ({ round, value }));
  assert.deepEqual(leastOfEach(samples, 3), [{ round: 1, value: 1 }, { round: 4, value: 8 }]);
});

Deno.test("Series.growth() names what grows in the second half, and leaves the first one out", () => {
  const figures = new Series();
  for (let round = 0; round < 40; round++) {
    const figure = (value: number) => ({ value, bound: BOUND });
    figures.note(round, {
      leak: figure(round),
      cache: figure(Math.min(round, 20)),
      spikes: { ...figure(round % 4 === 0 ? 0 : round), leastOf: 4 },
    });
  }
  const [line, ...more] = figures.growth();
  assert.equal(line, "leak: 20.0 to 39.0, 1.000 ± 0.000 a round (20 samples)");
  assert.deepEqual(more, []);
});

Deno.test("describe() of too few samples shows that they say nothing", () => {
  assert.match(describe(fitTrend(series((round) => round, 2))), /1\.000 ± Infinity a round \(2 samples\)/);
});
