/** QEMU itself, with a guest of a few system calls. Needs scripts/guest-image to have run, for the kernel. */
import assert from "node:assert/strict";
import { createLogger } from "../../src/base/log.ts";
import { box, disk, pidOf, ready } from "../../src/hypervisor/testing/conformance_box.ts";
import { hypervisorConforms } from "../../src/hypervisor/testing/conformance_suite.ts";
import type { NetDevice } from "../../src/hypervisor/device.ts";
import { startTime } from "../../src/hypervisor/process/pid_file.ts";
import { memfd } from "../../src/linux/io/fd.ts";
import { createNetns } from "../../src/linux/process/namespace.ts";
import { directory, GROWING, ignore, links, netCard, SUBJECT, vm } from "./tiny_guest.ts";
import { until } from "../support/wait.ts";

hypervisorConforms(SUBJECT);

/** Fields of `/proc/PID/status`, those of each thread. */
function statusOf(pid: number): Record<string, string>[] {
  return [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => {
    const lines = Deno.readTextFileSync(`/proc/${pid}/task/${name}/status`).trim().split("\n");
    return Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2)));
  });
}

const NO_CAPABILITIES = "0".repeat(16);
const FILTERED = "2";

Deno.test({
  name:
    "F14: Qemu has no capabilities and a filter of system calls, and each a user of its own that nothing belongs to",
  ignore,
  async fn() {
    const uids: number[] = [];
    for (let round = 0; round < 2; round++) {
      await using made = box(SUBJECT, vm("idles"));
      await made.vm.start({ signal: AbortSignal.timeout(10_000) });
      for (const status of statusOf(await pidOf(made.vm))) {
        const { CapPrm, CapEff, CapBnd, CapInh, CapAmb, NoNewPrivs, Seccomp, Uid, Gid, Groups } = status;
        for (const set of [CapPrm, CapEff, CapBnd, CapInh, CapAmb]) assert.equal(set, NO_CAPABILITIES);
        assert.deepEqual([NoNewPrivs, Seccomp, Groups], ["1", FILTERED, ""]);
        const [uid] = Uid!.split("\t").map(Number);
        assert.ok(uid! >= 0x70000000 && uid! < 0x7fffffff, `uid ${uid}`);
        assert.equal(Uid, Array(4).fill(uid).join("\t"));
        assert.equal(Gid, Uid);
        uids[round] = uid!;
      }
    }
    assert.notEqual(uids[0], uids[1]);
  },
});

Deno.test({
  name: "F14: Qemu that has to be root says why, and has no capabilities and a filter nevertheless",
  ignore,
  async fn() {
    const hidden = vm("idles");
    Deno.chmodSync(hidden.initrd!, 0o600);
    const lines: string[] = [];
    try {
      await using made = box(SUBJECT, hidden, { log: createLogger({ sink: (line) => lines.push(line) }) });
      await made.vm.start({ signal: AbortSignal.timeout(10_000) });
      for (const { Uid, CapEff, CapBnd, NoNewPrivs, Seccomp } of statusOf(await pidOf(made.vm))) {
        const expected = ["0\t0\t0\t0", NO_CAPABILITIES, NO_CAPABILITIES, "1", FILTERED];
        assert.deepEqual([Uid, CapEff, CapBnd, NoNewPrivs, Seccomp], expected);
      }
    } finally {
      Deno.chmodSync(hidden.initrd!, 0o644);
    }
    assert.match(lines.join("\n"), /QEMU runs as root, without capabilities.*others than root cannot read/);
  },
});

Deno.test({
  name: "F14: Qemu is given disks that only root can open, to write too, at the start and while it runs",
  ignore,
  async fn() {
    const secrets = ["cold", "hot"].map((id) => {
      const path = `${directory}/secret-${id}`;
      Deno.writeFileSync(path, new Uint8Array(1 << 20), { mode: 0o600 });
      return { ...disk(id), path, readOnly: false };
    });
    await using made = box(SUBJECT, vm("idles", { devices: [secrets[0]!] }));
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    await ready(made, 60_000);
    for (let round = 0; round < 3; round++) {
      await made.vm.hotplug!.plug(secrets[1]!);
      await made.vm.hotplug!.unplug("hot");
    }
  },
});

Deno.test({
  name: "versions V1: Qemu warns of nothing that a later one takes away, at the start and when a disk and a share come",
  ignore,
  async fn() {
    const lines: string[] = [];
    const log = createLogger({ sink: (line) => lines.push(line) });
    const share = { kind: "shareFs", id: "share", tag: "kataShared", source: directory } as const;
    await using made = box(SUBJECT, vm("idles", { devices: [disk("cold"), share], size: GROWING }), { log });
    await made.vm.start({ signal: AbortSignal.timeout(20_000) });
    await made.vm.hotplug!.plug(disk("hot"));
    await made.vm.resize!.vcpus(2);
    await made.vm.resize!.memory(300);
    await made.vm.stop();
    assert.ok(lines.some((line) => line.includes("Started qemu")));
    assert.deepEqual(lines.filter((line) => /deprecat|removed in|will be removed/i.test(line)), []);
  },
});

Deno.test({
  name: "kvm M7: Qemu tells of a guest that says nothing whether its processor moves, and how much memory it has used",
  ignore,
  async fn() {
    await using made = box(SUBJECT, vm("idles"));
    await made.vm.start({ signal: AbortSignal.timeout(20_000) });
    const told =
      /^the machine is running, its processor (?:moves|stands still|waits) .*0x[0-9a-f]+.*, \d+ MiB of its memory/;
    assert.match(await made.vm.diagnose!(), told);
    await made.vm.pause();
    assert.match(await made.vm.diagnose!(), /^the machine is paused, its processor (?:stands still|waits) /);
  },
});

Deno.test({
  name: "F10: a guest that writes to its console for ever leaves no file, and its last words are known",
  ignore,
  async fn() {
    await using made = box(SUBJECT, vm("floods"));
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    await until(() => made.vm.consoleTail(100).length >= 100, { ms: 60_000 });
    const sizes = made.files().map((name) => [name, Deno.statSync(`${made.runDir}/${name}`).size] as const);
    for (const [name, size] of sizes) assert.ok(size < 100, `${name} has ${size} bytes`);
    Deno.kill(await pidOf(made.vm), "SIGKILL");
    await made.vm.wait();
    const words = made.vm.consoleTail(100);
    assert.ok(words.length <= 100 && words.some((line) => line.includes("flood")));
  },
});

Deno.test({
  name: "F10: a console that nobody reads holds up neither Qemu nor its guest's other work",
  ignore,
  async fn() {
    await using made = box(SUBJECT, vm("floods"));
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    await ready(made, 60_000);
    // Our own thread reads the console, and stands still for longer than it takes to fill the socket.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    const begin = performance.now();
    assert.ok((await made.vm.info()).vcpus === 1 && performance.now() - begin < 1_000);
  },
});

Deno.test({
  name: "Qemu ends with its virtiofsd, whose end it names",
  ignore,
  async fn() {
    const share = { kind: "shareFs", id: "share", tag: "kataShared", source: directory } as const;
    await using made = box(SUBJECT, vm("idles", { devices: [share] }));
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    assert.ok(made.vm.guestAddress("share"));
    const pid = await pidOf(made.vm);
    const { pids } = await made.vm.info();
    const daemon = pids.find((each) => each !== pid)!;
    Deno.kill(daemon, "SIGKILL");
    const { expected, reason } = await made.vm.wait();
    assert.ok(!expected);
    assert.match(reason, new RegExp(`^virtiofsd-share \\(pid ${daemon}\\) was killed by SIGKILL`));
    assert.equal(startTime(pid), undefined);
  },
});

Deno.test({
  name: "Qemu takes over taps of a network namespace, at the start and while it runs",
  ignore,
  async fn() {
    const path = `${directory}/netns`;
    using _netns = createNetns(path);
    const cold = netCard("eth0", { path, queues: 2 });
    await using made = box(SUBJECT, vm("idles", { devices: [cold] }));
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    assert.deepEqual(made.vm.guestAddress("eth0"), { bus: "pci", path: "03" });
    assert.ok(cold.tapFds.every((fd) => !fd.isOpen));
    const hot = netCard("eth1", { path, queues: 1 });
    assert.deepEqual(await made.vm.hotplug!.plug(hot), { bus: "pci", path: "04/00" });
    assert.ok(hot.tapFds.every((fd) => !fd.isOpen));
    assert.deepEqual(links(path), ["eth0", "eth1"]);
    await made.vm.stop();
    assert.deepEqual(links(path), []); // a tap goes with its last descriptor
  },
});

Deno.test({
  name: "B21: Qemu keeps no descriptor of a card that it refuses",
  ignore,
  async fn() {
    await using made = box(SUBJECT, vm("idles"));
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    const [pid] = (await made.vm.info()).pids;
    const tapFds = ["taken", "waiting", "last"].map((name) => memfd(name));
    const card: NetDevice = { kind: "net", id: "eth0", mac: "02:00:00:00:00:01", tapFds, vhostFds: [] };
    await assert.rejects(made.vm.hotplug!.plug(card), { message: 'Cannot plug net "eth0"' });
    const open = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) =>
      Deno.readLinkSync(`/proc/${pid}/fd/${name}`)
    );
    // The one that it has looked at and found to be no tap, QEMU itself forgets to close.
    assert.deepEqual(open.filter((path) => /waiting|last/.test(path)), []);
  },
});
