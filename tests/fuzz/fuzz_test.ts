/**
 * Each target with a fixed seed and a fixed number of inputs, so that a run is the same on every machine; `scripts/fuzz`
 * goes on from there with other seeds. Those that could do harm run in `tests/vm/fuzz_machine_test.ts`.
 */
import assert from "node:assert/strict";
import { formatFinding, runTarget } from "./core/supervise.ts";
import { TARGETS } from "./targets.ts";

const SEED = "1";

for (const target of TARGETS) {
  const missing = target.missing?.();
  Deno.test({
    name: `fuzz: ${target.name} takes ${target.rounds} inputs of seed ${SEED}${
      missing ? ` (left out: ${missing})` : ""
    }`,
    ignore: target.rounds === 0 || missing !== undefined,
    fn: async () => {
      const { findings, inputs } = await runTarget(target, { seed: SEED, inputs: target.rounds });
      assert.deepEqual(findings.map(formatFinding), []);
      assert.equal(inputs, target.rounds);
    },
  });
}
