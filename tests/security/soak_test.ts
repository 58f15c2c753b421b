/** A few rounds of `scripts/soak`: what it counts must not grow. Rounds in a pod are in tests/interop/cri_many_test.ts. */
import assert from "node:assert/strict";
import { killRounds } from "../../scripts/soak_kill.ts";
import { runkRounds, vmRounds } from "../../scripts/soak_rounds.ts";
import { Containerd, releases } from "../interop/containerd.ts";
import { Box } from "../oci/runtime.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";

Deno.test("soak: 20 lives of a container of runk leave nothing", async () => {
  await using box = new Box();
  assert.deepEqual((await runkRounds(box, { rounds: 20 })).growth(), []);
});

Deno.test({
  name: "soak: 3 lives of a sandbox with the same id leave nothing",
  ignore: leftOut(import.meta, releases().length === 0 && "containerd is not installed"),
  sanitizeResources: false, // ctr keeps pipes of its own
  async fn() {
    await using containerd = await Containerd.start({ release: releases()[0]! });
    assert.deepEqual((await vmRounds(containerd, { rounds: 3 })).growth(), []);
  },
});

Deno.test({
  name: "soak kill: after the death of an agent, and of containerd, nothing is left and the same id starts again",
  ignore: leftOut(import.meta, releases().length === 0 && "containerd is not installed"),
  sanitizeResources: false,
  async fn() {
    const { deaths, failures } = await killRounds({ kills: 1, seed: 1, victims: ["agent", "containerd"] });
    assert.deepEqual(failures, []);
    assert.deepEqual(deaths.map(({ victim }) => victim), ["agent", "containerd"]);
  },
});
