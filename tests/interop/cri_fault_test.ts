/** Pods whose parts die under them, and disks that are full: nothing hangs, nothing is left behind. See `pod.ts`. */
import assert from "node:assert/strict";
import { LOST_STATUS } from "../../src/sandbox/container/status.ts";
import { HANG_MS } from "../../src/sandbox/agent/watch.ts";
import { exists } from "../../src/base/files.ts";
import { processesOf } from "./containerd.ts";
import { type Pod, type PodContainer, type PodNode, pods, SLEEP, STATE } from "./pod.ts";
import { CGROUP_PARENT } from "./pod_settings.ts";
import { until } from "../support/wait.ts";

/** Until containerd has heard of the end of a sandbox. */
const NOTICED_MS = 5_000;
/** Until a pod is stopped and removed, with the engine's own waits. */
const REMOVED_MS = 30_000;
/** Less than a monitor needs, in bytes. */
const TOO_SMALL = 64 * 2 ** 20;
const VICTIMS = ["qemu-system", "virtiofsd", "containerd-shim-kata"];
/** Until a pod that goes on has answered. */
const ANSWERED_MS = 20_000;

function kill(victim: string, pod: Pod): void {
  const [pid] = processesOf(victim, pod.id);
  assert.ok(pid !== undefined, `${victim} runs`);
  Deno.kill(pid, "SIGKILL");
}

/** Words that the shim writes down of a process that was killed. */
function lossOf(victim: string): RegExp {
  return new RegExp(`"Lost the sandbox".*"reason":"[^"]*${victim.split("-")[0]}[^"]*SIGKILL`);
}

async function isNoticed(container: PodContainer, { ms } = { ms: NOTICED_MS }): Promise<void> {
  await until(async () => (await container.status()).state === STATE.exited, { ms });
  const { exit_code, reason } = await container.status();
  assert.equal(exit_code, LOST_STATUS);
  // The latter is containerd's word for a shim that it did not find again.
  assert.match(reason, /^(Error|Unknown)$/);
}

/** Whether what is done after a fault, and the removal of the pod, take no longer than they may. */
async function goesOn(pod: Pod, work: () => Promise<unknown>): Promise<void> {
  const begin = performance.now();
  await work();
  assert.ok(performance.now() - begin < ANSWERED_MS);
  await canBeRemoved(pod);
}

async function canBeRemoved(pod: Pod, { ms } = { ms: REMOVED_MS }): Promise<void> {
  const begin = performance.now();
  await pod[Symbol.asyncDispose]();
  assert.ok(performance.now() - begin < ms);
}

for (const victim of VICTIMS) {
  pods(`kill -9 of a pod's ${victim} ends its containers within 5 s, and the pod can be removed`, async (node) => {
    const pod = await node.pod("pod");
    const container = await pod.run("one", SLEEP);
    kill(victim, pod);
    await isNoticed(container);
    await until(async () => !(await pod.isReady()), { ms: NOTICED_MS });
    if (!victim.startsWith("containerd")) assert.match(node.containerd.log(), lossOf(victim));
    await canBeRemoved(pod);
  });

  pods(`the next containerd learns that ${victim} of a pod died while there was none`, async (node) => {
    const pod = await node.pod("pod");
    const container = await pod.run("one", SLEEP);
    await node.restart(() => kill(victim, pod));
    await isNoticed(container);
    await canBeRemoved(pod);
  });
}

pods("kubernetes K9b: a pod whose cgroup is too small for its machine says that this is why", async (node) => {
  const group = [`/sys/fs/cgroup/memory${CGROUP_PARENT}`, `/sys/fs/cgroup${CGROUP_PARENT}`]
    .find((path) => exists(path.slice(0, path.lastIndexOf("/")) + "/cgroup.procs"))!;
  await Deno.mkdir(group, { recursive: true });
  const file = ["memory.limit_in_bytes", "memory.max"].find((name) => exists(`${group}/${name}`));
  await Deno.writeTextFile(`${group}/${file}`, `${TOO_SMALL}`);
  const pod = node.pod("pod");
  await assert.rejects(pod, /memory of the pod's cgroup ran out, \d+ of its processes were killed/);
  await assert.rejects(pod, /qemu[^;]*was killed by SIGKILL/);
});

pods("the death of the agent, with its kernel, ends a pod's containers within 5 s", async (node) => {
  const pod = await node.pod("pod");
  const container = await pod.run("one", SLEEP);
  // The agent is the guest's first process, which no signal ends: it goes when its kernel does.
  const exec = container.tryExec("echo c >/proc/sysrq-trigger").catch(() => {});
  await isNoticed(container);
  assert.match(node.containerd.log(), /"Lost the sandbox".*"reason":"the guest reset itself, as its kernel does/);
  await canBeRemoved(pod);
  await exec;
});

const PRIVILEGED = { linux: { security_context: { privileged: true } } };

/**
 * Stops the agent, which no signal does to a machine's first process, while its kernel and the containers go on. A
 * privileged container may name the program that loads modules, which the kernel then runs outside all containers.
 *
 * @returns What the agent has no more answer to, once it is stopped.
 */
async function freezeAgent(
  node: PodNode,
  pod: Pod,
  container: PodContainer,
): Promise<{ unanswered: Promise<unknown> }> {
  const root = `/run/kata-containers/shared/containers/passthrough/${container.id}/rootfs`;
  const freeze = [
    `#!${root}/bin/busybox sh`,
    "cd /sys/fs/cgroup/freezer || cd /sys/fs/cgroup",
    `${root}/bin/mkdir agent`,
    "echo 1 >agent/cgroup.procs",
    `{ echo FROZEN >agent/freezer.state || echo 1 >agent/cgroup.freeze; } && echo >${root}/frozen`,
  ];
  const script = [
    `printf '%s\\n' ${freeze.map((line) => `'${line}'`).join(" ")} >/freeze`,
    // The kernel looks for a module that knows files which begin like this.
    "printf '\\377\\377\\377\\377' >/unknown",
    "chmod +x /freeze /unknown",
    `echo ${root}/freeze >/proc/sys/kernel/modprobe`,
    "/unknown",
  ];
  const unanswered = container.tryExec(script.join("; "));
  unanswered.catch(() => {});
  const frozen = `/run/kata-containers/shared/sandboxes/${pod.id}/mounts/passthrough/${container.id}/rootfs/frozen`;
  await until(async () => (await node.containerd.run(["test", "-e", frozen])).status === 0);
  return { unanswered };
}

pods(`a VMM or an agent that hangs ends its containers within ${HANG_MS / 1000} s`, async (node) => {
  const [vmm, agent] = [await node.pod("vmm"), await node.pod("agent", PRIVILEGED)];
  const inVmm = await vmm.run("one", SLEEP);
  const inAgent = await agent.run("one", SLEEP, PRIVILEGED);
  const [qemu] = processesOf("qemu-system", vmm.id);
  Deno.kill(qemu!, "SIGSTOP");
  const { unanswered } = await freezeAgent(node, agent, inAgent);
  // Whoever waits for the end, and whoever stops the pod before it is noticed.
  await Promise.all([
    isNoticed(inVmm, { ms: HANG_MS + NOTICED_MS }).then(() => canBeRemoved(vmm)),
    canBeRemoved(agent, { ms: HANG_MS + REMOVED_MS }),
    assert.rejects(unanswered),
  ]);
});

pods("a pod whose network namespace was deleted under it goes on, and can be removed", async (node) => {
  const pod = await node.pod("pod");
  const container = await pod.run("one", SLEEP);
  const path = await node.netnsOf(pod);
  await node.containerd.run(["umount", "-l", path]);
  await Deno.remove(path);
  await goesOn(pod, async () => assert.equal(await container.exec("echo still here"), "still here\n"));
});

pods("a pod survives containerd's death and is handled by the next one", async (node) => {
  const pod = await node.pod("pod");
  const container = await pod.run("one", SLEEP);
  await node.restart();
  await goesOn(pod, async () => assert.equal(await container.exec("echo still here"), "still here\n"));
});

pods("a container whose files virtiofsd is slow to close can be removed, and its pod goes on", async (node) => {
  await using pod = await node.pod("pod");
  const steady = await pod.run("steady", SLEEP);
  const container = await pod.run("one", SLEEP);
  const [virtiofsd] = processesOf("/virtiofsd ", pod.id);
  Deno.kill(virtiofsd!, "SIGSTOP");
  const stopping = container.stop();
  // Long enough for the agent to come to the unmounting: with a daemon that does not answer nothing tells of that.
  await Promise.race([stopping, new Promise((resolve) => setTimeout(resolve, 2_000))]);
  Deno.kill(virtiofsd!, "SIGCONT");
  await stopping;
  await container.remove();
  assert.equal(await steady.exec("echo well"), "well\n");
});

/** Mounts a small disk. Disposing it lets go of it, whoever still uses it. */
async function smallDisk(node: PodNode, path: string, options = "size=1m"): Promise<AsyncDisposable> {
  await Deno.mkdir(path, { recursive: true });
  const { status, stderr } = await node.containerd.run(["mount", "-t", "tmpfs", "-o", options, "small", path]);
  assert.equal(status, 0, stderr);
  return { [Symbol.asyncDispose]: async () => void await node.containerd.run(["umount", "-l", path]) };
}

/** A container whose writable layer is on a disk of its own. */
async function onSmallDisk(node: PodNode, container: PodContainer): Promise<AsyncDisposable> {
  const mounts = await node.containerd.must("snapshots", "mounts", "/nowhere", container.id);
  const upper = /upperdir=([^,\s]+)/.exec(mounts)?.[1];
  assert.ok(upper !== undefined, mounts);
  const disk = await smallDisk(node, upper.slice(0, upper.lastIndexOf("/")));
  for (const name of ["fs", "work"]) await Deno.mkdir(upper.replace(/fs$/, name));
  return disk;
}

pods("a full disk under a container, or under its volume, is ENOSPC inside and harms nobody else", async (node) => {
  await using pod = await node.pod("pod");
  const other = await pod.run("other", SLEEP);
  const volume = `${node.containerd.directory}/volume`;
  await using _volume = await smallDisk(node, volume);
  const full = await pod.create("full", SLEEP, { mounts: [{ container_path: "/volume", host_path: volume }] });
  await using _root = await onSmallDisk(node, full);
  await full.start();
  const begin = performance.now();
  for (const path of ["/volume/file", "/file"]) {
    const { status, stderr } = await full.tryExec(`dd if=/dev/zero of=${path} bs=64k`);
    assert.equal(status, 1);
    assert.match(stderr, /No space left on device/);
  }
  assert.equal(await full.exec("cat /volume/file /file | wc -c"), `${2 << 20}\n`);
  assert.equal(await other.exec("echo well >/file; cat /file"), "well\n");
  assert.ok(performance.now() - begin < ANSWERED_MS);
  await full.stop();
  await full.remove();
});

pods(
  "a full or read-only disk under the shim's state is told in one line, and keeps no pod from going",
  async (node) => {
    const STATE_DIRECTORY = "/run/kata";
    await using _disk = await smallDisk(node, STATE_DIRECTORY, "size=256k,ro");
    await assert.rejects(node.pod("none"), /Cannot create sandbox ".*": Read-only file system/);
    await node.containerd.run(["mount", "-o", "remount,rw", STATE_DIRECTORY]);
    await using pod = await node.pod("pod");
    const container = await pod.run("one", SLEEP);
    await node.containerd.run(["dd", "if=/dev/zero", `of=${STATE_DIRECTORY}/filler`, "bs=4k"]);
    await assert.rejects(node.pod("none"), /Cannot write the state of sandbox ".*": No space left on device/);
    const second = await pod.run("two", SLEEP);
    await second.stop();
    await second.remove();
    assert.equal(await container.exec("echo well"), "well\n");
  },
);
