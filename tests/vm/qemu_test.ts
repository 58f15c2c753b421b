/** QEMU itself, with a guest of a few system calls. Needs scripts/guest-image to have run, for the kernel. */
import assert from "node:assert/strict";
import { type CpioEntry, packCpio } from "../../scripts/guest/cpio.ts";
import { assembleInit, type Step } from "../../scripts/guest/init_program.ts";
import { type Config, defaultConfig } from "../../src/config/schema.ts";
import { box, type GuestHabit } from "../../src/hypervisor/conformance_box.ts";
import { hypervisorConforms } from "../../src/hypervisor/conformance_suite.ts";
import type { NetDevice } from "../../src/hypervisor/device.ts";
import { startTime } from "../../src/hypervisor/pid_file.ts";
import { createNetns, enterNetns } from "../../src/linux/namespace.ts";
import { openTap } from "../../src/linux/tap.ts";

const KERNEL = new URL("../../dist/guest/vmlinux", import.meta.url).pathname;
const STDOUT = 1;
const POWER_OFF = [0xfee1dead, 672274793, 0x4321fedc, 0];

const READY = new TextEncoder().encode("guest ready\n");
const SAY_READY: Step = { call: "write", args: [STDOUT, READY, READY.length], onError: "ignore" };

/** What each guest does last. An init that exits makes the kernel panic. */
const LAST: Record<GuestHabit, Step> = {
  idles: { call: "nanosleep", args: [new Uint8Array(new BigUint64Array([3600n, 0n]).buffer), 0], onError: "ignore" },
  "powers off": { call: "reboot", args: POWER_OFF, onError: "ignore" },
  panics: { call: "exit", args: [1], onError: "ignore" },
};

const directory = Deno.makeTempDirSync({ prefix: "kata-qemu-test-" });
globalThis.addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));

/** Written once: a template fits only the very file that it was made with. */
function initrd(guest: GuestHabit): string {
  const path = `${directory}/${guest}.cpio`;
  if (isThere(path)) return path;
  const entries: CpioEntry[] = [
    { kind: "directory", path: "dev", mode: 0o755 },
    { kind: "character device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    {
      kind: "file",
      path: "init",
      mode: 0o755,
      data: assembleInit([SAY_READY, LAST[guest]], Deno.build.arch),
    },
  ];
  Deno.writeFileSync(path, packCpio(entries));
  return path;
}

function config(guest: GuestHabit): Config {
  const base = defaultConfig();
  Object.assign(base.hypervisor, { kernel: KERNEL, initrd: initrd(guest), default_memory: 256 });
  return base;
}

const ignore = !isThere(KERNEL);

hypervisorConforms({ name: "Qemu", config, bootMs: 60_000, ignore });

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

Deno.test({
  name: "Qemu ends with its virtiofsd, whose end it names",
  ignore,
  async fn() {
    const share = { kind: "shareFs", id: "share", tag: "kataShared", source: directory } as const;
    await using made = box(config("idles"), { devices: [share] });
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    assert.ok(made.vm.guestAddress("share"));
    const { pid, pids } = await made.vm.info();
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
    await using made = box(config("idles"), { devices: [cold] });
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    assert.deepEqual(made.vm.guestAddress("eth0"), { bus: "pci", path: "04" });
    assert.ok(cold.tapFds.every((fd) => !fd.isOpen));
    const hot = netCard("eth1", { path, queues: 1 });
    assert.deepEqual(await made.vm.plug(hot), { bus: "pci", path: "05/00" });
    assert.ok(hot.tapFds.every((fd) => !fd.isOpen));
    assert.deepEqual(links(path), ["eth0", "eth1"]);
    await made.vm.stop();
    assert.deepEqual(links(path), []); // a tap goes with its last descriptor
  },
});

Deno.test({
  name: "Qemu adds vCPUs and memory while it runs, and knows its size",
  ignore,
  async fn() {
    const growing = config("idles");
    growing.runtime.static_sandbox_resource_mgmt = false;
    Object.assign(growing.hypervisor, { default_maxvcpus: 2, default_maxmemory: 1024 });
    await using made = box(growing);
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    assert.equal(await made.vm.resizeVcpus(2), 2);
    assert.equal(await made.vm.resizeMemory(300), 384);
    const { vcpus, vcpuThreads, memoryMiB } = await made.vm.info();
    assert.deepEqual([vcpus, vcpuThreads.length, memoryMiB], [2, 2, 384]);
  },
});

/** A card whose tap has the card's name. */
function netCard(id: string, { path, queues }: { path: string; queues: number }): NetDevice {
  using _entered = enterNetns(path);
  const { fds } = openTap(id, { queues });
  return { kind: "net", id, mac: `02:00:00:00:00:0${id.at(-1)}`, tapFds: fds, vhostFds: [] };
}

/** Taps in a network namespace. */
function links(path: string): string[] {
  using _entered = enterNetns(path);
  const table = Deno.readTextFileSync("/proc/thread-self/net/dev").split("\n").slice(2);
  return table.map((line) => line.split(":")[0]!.trim()).filter((name) => name.startsWith("eth")).sort();
}
