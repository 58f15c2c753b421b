import assert from "node:assert/strict";
import { parseArguments } from "./fuzz.ts";

Deno.test("fuzz.ts takes targets, seconds and a seed in any order", () => {
  const { targets, options } = parseArguments(["--seed", "5", "qmp", "--seconds=7", "serial"]);
  assert.deepEqual(targets.map(({ name }) => name), ["qmp", "serial"]);
  assert.deepEqual(options, { seed: "5", seconds: 7 });
});

Deno.test("fuzz.ts runs the one input that a seed with a number names", () => {
  const { options, save } = parseArguments(["qmp", "--seed", "5:77", "--save", "null-line"]);
  assert.deepEqual([options, save], [{ seed: "5", from: 77, inputs: 1 }, "null-line"]);
});

Deno.test.each<{ args: string[] }>([
  { args: ["--nope"] },
  { args: ["no-target"] },
  { args: ["--seconds", "x"] },
])("fuzz.ts refuses $args", ({ args }) => {
  assert.throws(() => parseArguments(args), RangeError);
});
