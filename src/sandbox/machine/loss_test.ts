import assert from "node:assert/strict";
import { errorChain, errorCode, KataError } from "../../base/error.ts";
import { explainLoss, oomWords } from "./loss.ts";

const CLOSED = new Error('Cannot set up interface "eth0" in the guest', {
  cause: new KataError("UNAVAILABLE", "the connection is closed; the VM ended: qemu (pid 7) was killed by SIGKILL"),
});

Deno.test("kubernetes K9b: explainLoss() tells of a machine whose cgroup ran out of memory, with what failed by that", () => {
  const explained = explainLoss(CLOSED, { oomKills: () => 1n });
  assert.match(errorChain(explained), /^The virtual machine has ended: memory of the pod's cgroup ran out, 1 of its /);
  assert.match(errorChain(explained), /overhead of its RuntimeClass: Cannot set up .*killed by SIGKILL$/);
  assert.equal(errorCode(explained), "UNAVAILABLE");
});

Deno.test("explainLoss() leaves an error alone if nothing was killed, or nothing is counted", () => {
  for (const cgroups of [undefined, { oomKills: () => 0n }]) {
    assert.equal(explainLoss(CLOSED, cgroups), CLOSED);
    assert.equal(oomWords(cgroups), undefined);
  }
});
