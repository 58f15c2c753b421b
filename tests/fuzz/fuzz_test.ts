/**
 * Each target with a fixed seed and a fixed number of inputs, so that a run is the same on every machine; `scripts/fuzz`
 * goes on from there with other seeds. Those that could do harm run in `tests/vm/fuzz_machine_test.ts`.
 */
import assert from "node:assert/strict";
import { formatFinding, runTarget } from "./core/supervise.ts";
import { TARGETS } from "./targets.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";

const SEED = "1";

for (const target of TARGETS) {
  const name = `fuzz: ${target.name} takes ${target.rounds} inputs of seed ${SEED}`;
  Deno.test({
    name,
    ignore: leftOut(
      { name },
      target.rounds === 0 ? "is broken on purpose, for the tests of the fuzzer" : target.missing?.(),
    ),
    fn: async () => {
      const { findings, inputs } = await runTarget(target, { seed: SEED, inputs: target.rounds });
      assert.deepEqual(findings.map(formatFinding), []);
      assert.equal(inputs, target.rounds);
    },
  });
}
