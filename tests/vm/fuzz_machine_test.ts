/**
 * Fuzz targets that mount, make containers and open what they are told to, in a machine to throw away: each with a fixed
 * seed and a few inputs, as the machine is emulated. `scripts/fuzz --throwaway` is for amounts, by hand.
 *
 * @module
 */
import assert from "node:assert/strict";
import { decodeInput } from "../fuzz/core/encode.ts";
import { BOXED } from "../fuzz/targets.ts";
import { ENDED, fuzzInMachine } from "./fuzz_machine.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";

const SEEDS = new URL("../fuzz/seeds/", import.meta.url);
/** Ends a machine that hangs; a slow and busy one takes a few minutes. */
const LIMIT_MS = 900_000;
/** Leaves something behind: it shows that the machine and its report are right. */
const PLANTED = "planted-remains";

/** Inputs that once broke one of these targets. */
function seeds(): string[] {
  const targetOf = (name: string) =>
    (decodeInput(Deno.readTextFileSync(new URL(name, SEEDS))) as { target: string }).target;
  const names = [...Deno.readDirSync(SEEDS)].map(({ name }) => name).filter((name) => name.endsWith(".json"));
  return names.filter((name) => BOXED.some((target) => target.name === targetOf(name))).sort();
}

Deno.test({
  name: "a machine to throw away: targets that could do harm take their inputs, and nothing stays behind",
  ignore: leftOut(import.meta, Deno.build.arch !== "x86_64" && "the machine is a PC"),
  async fn(t) {
    const kept = seeds();
    const names = BOXED.map(({ name }) => name);
    const text = await fuzzInMachine([
      ["--rounds", "--seed", "1", ...names],
      ["--input", ...kept.map((name) => `seeds/${name}`)],
      [PLANTED, "--seed", "1", "--inputs", "1"],
    ], { limitMs: LIMIT_MS });
    assert.equal(ENDED.exec(text)?.[1], "1", text.slice(-4000));
    for (const { name, rounds } of BOXED) {
      await t.step(`fuzz: ${name} takes ${rounds} inputs of seed 1`, () => {
        assert.match(text, new RegExp(`^${name}: ${rounds} inputs .* 0 findings$`, "m"), text);
      });
    }
    await t.step(`fuzz: ${kept.join()} answered`, () => {
      assert.equal(text.match(/^[\w-]+: 1 inputs .* 0 findings$/gm)?.length ?? 0, kept.length, text);
    });
    await t.step("what a target leaves behind is found", () => {
      assert.match(
        text,
        new RegExp(`^fault in ${PLANTED}, seed 1:0\n.*nothing stays behind: .*mount of tmpfs at /run`, "m"),
        text,
      );
    });
  },
});
