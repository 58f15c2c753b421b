/** QEMU itself, with a guest of a few system calls. Needs scripts/guest-image to have run, for the kernel. */
import assert from "node:assert/strict";
import { type CpioEntry, packCpio } from "../../scripts/guest/cpio.ts";
import { assembleInit, type Step } from "../../scripts/guest/init_program.ts";
import { type Config, defaultConfig } from "../../src/config/schema.ts";
import { box, type GuestHabit, hypervisorConforms } from "../../src/hypervisor/conformance_suite.ts";
import { startTime } from "../../src/hypervisor/pid_file.ts";

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

function initrd(guest: GuestHabit): string {
  const entries: CpioEntry[] = [
    { kind: "directory", path: "dev", mode: 0o755 },
    { kind: "character device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    {
      kind: "file",
      path: "init",
      mode: 0o755,
      data: assembleInit([SAY_READY, LAST[guest]], { architecture: Deno.build.arch }),
    },
  ];
  const path = `${directory}/${guest}.cpio`;
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
    assert.match(reason, new RegExp(`^virtiofsd \\(pid ${daemon}\\) was killed by SIGKILL`));
    assert.equal(startTime(pid), undefined);
  },
});
