/**
 * Each target with a fixed seed and a fixed number of inputs, so that a run is the same on every machine; `scripts/fuzz`
 * goes on from there with other seeds.
 */
import assert from "node:assert/strict";
import { formatFinding, runTarget } from "./core/supervise.ts";
import { TARGETS } from "./targets.ts";

const SEED = "1";

for (const target of TARGETS) {
  const ignore = target.rounds === 0 || target.missing?.() !== undefined;
  Deno.test({
    name: `fuzz: ${target.name} takes ${target.rounds} inputs of seed ${SEED}`,
    ignore,
    fn: async () => {
      const { findings, inputs } = await runTarget(target, { seed: SEED, inputs: target.rounds });
      assert.deepEqual(findings.map(formatFinding), []);
      assert.equal(inputs, target.rounds);
    },
  });
}
