import assert from "node:assert/strict";
import { errorChain, KataError } from "../../base/error.ts";
import { explainLoss } from "./loss.ts";

const REASON = "qemu (pid 7) was killed by SIGKILL";
const ended = { wait: () => Promise.resolve({ expected: false, reason: REASON }) };
const CLOSED = new Error('Cannot set up interface "eth0" in the guest', {
  cause: new KataError("UNAVAILABLE", "the connection is closed"),
});

Deno.test("kubernetes K9b: explainLoss() names the signal that ended a machine, and the kills of its group", async () => {
  const explained = await explainLoss(CLOSED, { vm: ended, cgroups: { oomKills: () => 1n } });
  assert.match(
    errorChain(explained),
    /^The virtual machine has ended: qemu \(pid 7\) was killed by SIGKILL; the kernel /,
  );
  assert.match(
    errorChain(explained),
    /killed 1 of the processes in the pod's cgroup.*: Cannot set up interface "eth0"/,
  );
  assert.doesNotMatch(errorChain(await explainLoss(CLOSED, { vm: ended, cgroups: undefined })), /cgroup/);
});

Deno.test("kubernetes K9b: explainLoss() says nothing twice, and leaves other errors alone", async () => {
  const told = new KataError("UNAVAILABLE", `Cannot reach the agent: the VM ended while it booted: ${REASON}`);
  assert.equal(await explainLoss(told, { vm: ended, cgroups: { oomKills: () => 0n } }), told);
  const other = new KataError("INVALID_ARGUMENT", "Cannot create it");
  const running = { wait: () => Promise.reject(new Error("nobody asks")) };
  assert.equal(await explainLoss(other, { vm: running, cgroups: undefined }), other);
});

Deno.test("explainLoss() of a machine that never began tells of its group alone", async () => {
  const vm = {
    wait: () => {
      throw new Error("not started");
    },
  };
  const explained = await explainLoss(CLOSED, { vm, cgroups: { oomKills: () => 2n } });
  assert.match(errorChain(explained), /^The virtual machine has ended: the kernel has killed 2 /);
});
