/** A guest whose agent lies, floods and fails: the host's answers, events, memory and files. See `hostile_guest.ts`. */
import assert from "node:assert/strict";
import { LOST_STATUS } from "../../src/sandbox/container/status.ts";
import { processesOf } from "../interop/containerd.ts";
import { type Pod, type PodContainer, type PodNode, SLEEP, STATE } from "../interop/pod.ts";
import { hostilePods, inGuest } from "./hostile_guest.ts";
import { until } from "../support/wait.ts";

const MIB = 1 << 20;

function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) / 1024;
}

function shimOf(pod: Pod): number {
  const [pid] = processesOf("containerd-shim-kata", pod.id);
  assert.ok(pid !== undefined, "the pod has a shim");
  return pid;
}

hostilePods("F6: a guest that floods its host with OOM events gets none through, and hides no exit", async (node) => {
  await using pod = await node.pod("pod");
  const [one, two] = [
    await pod.run("one", SLEEP),
    await pod.run("two", "trap 'exit 3' TERM; while :; do sleep 1; done"),
  ];
  const shim = shimOf(pod);
  const before = { memory: residentMiB(shim), log: node.containerd.log().length };
  await until(async () => await inGuest(one, ({ kept }) => kept.asked) >= 8);
  await two.stop(20);
  assert.deepEqual(await exitOf(two), [STATE.exited, 3]);
  assert.ok(residentMiB(shim) < before.memory + 150, `the shim grew from ${before.memory} to ${residentMiB(shim)} MiB`);
  assert.ok(node.containerd.log().length < before.log + MIB, "the log grew");
  assert.doesNotMatch(node.containerd.log().slice(before.log), /TaskOOM event.*somebody-elses/);
}, {
  // From the start, as the host asks once and waits.
  first: ({ answers, kept }) => {
    kept.asked = 0;
    answers.getOOMEvent = () => ({ containerId: ++kept.asked < 8 ? "somebody-elses" : "x".repeat(3_000_000) });
  },
});

async function exitOf(container: PodContainer): Promise<[number, number]> {
  const { state, exit_code } = await container.status();
  return [state, exit_code];
}

hostilePods("F8: exit statuses that are none end their containers nevertheless", async (node) => {
  await using pod = await node.pod("pod");
  const steady = await pod.run("steady", SLEEP);
  for (const status of [-1, -(2 ** 31), 2 ** 31 - 1, 256]) {
    await inGuest(steady, ({ answers }, status) => {
      answers.waitProcess = async (_request, honest) => ({ ...await honest(), status });
    }, status);
    const container = await pod.run("one", "exit 77", { metadata: { name: "one", attempt: status } });
    await until(async () => (await container.status()).state === STATE.exited);
    assert.equal((await container.status()).exit_code, LOST_STATUS, `of ${status}`);
    await container.remove();
  }
});

hostilePods("F9: errors of the guest, however long, reach the caller in a few words", async (node) => {
  await using pod = await node.pod("pod");
  const steady = await pod.run("steady", SLEEP);
  for (const length of [4_194_284, 4_194_200, 5_000]) {
    await inGuest(steady, ({ answers }, length) => {
      answers.createContainer = () => {
        throw new Error("x".repeat(length));
      };
    }, length);
    await assert.rejects(pod.run("one", SLEEP, { metadata: { name: "one", attempt: length } }), (error: Error) => {
      assert.ok(error.message.includes("xxx") && error.message.length < 10_000, `${error.message.length} characters`);
      return true;
    });
  }
});
hostilePods("F10: what a guest writes to its console fills nothing on the host", async (node: PodNode) => {
  await using pod = await node.pod("pod");
  const steady = await pod.run("steady", SLEEP);
  const shim = shimOf(pod);
  const bytes = async () => parseInt((await node.containerd.run(["du", "-sb", `/run/kata/${pod.id}`])).stdout);
  const [memory, files] = [residentMiB(shim), await bytes()];
  const { stdout } = await inGuest(steady, ({ sh }) => {
    return sh("dd if=/dev/zero bs=1024 count=1600 2>/dev/null | tr '\\0' x | fold -w 99 >/dev/console; echo written");
  });
  assert.equal(stdout, "written\n");
  assert.ok(await bytes() < files + MIB, `files in /run: ${files} before, ${await bytes()} after`);
  assert.ok(residentMiB(shim) < memory + 60, "the shim grew");
  assert.ok(node.containerd.log().length < MIB, "the log grew");
});
