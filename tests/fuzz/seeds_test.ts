/** Inputs that once broke something, one file each: `scripts/fuzz TARGET --seed S:NUMBER --save NAME` writes them. */
import assert from "node:assert/strict";

import { decodeInput, encodeInput } from "./core/encode.ts";
import { formatFinding, runTarget } from "./core/supervise.ts";
import { targetNamed } from "./targets.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";

const SEEDS = new URL("seeds/", import.meta.url);

function seeds(): string[] {
  return [...Deno.readDirSync(SEEDS)].map(({ name }) => name).filter((name) => name.endsWith(".json")).sort();
}

for (const name of seeds()) {
  const found = decodeInput(Deno.readTextFileSync(new URL(name, SEEDS))) as { target: string; input: unknown };
  const target = targetNamed(found.target);
  const test = `fuzz: ${name} is answered`;
  Deno.test({
    name: test,
    ignore: leftOut({ name: test }, target.missing?.()),
    fn: async () => {
      const options = { seed: name, inputs: 1, input: encodeInput(found.input) };
      const { findings } = await runTarget(target, options);
      assert.deepEqual(findings.map(formatFinding), []);
    },
  });
}
