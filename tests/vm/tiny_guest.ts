/** A guest of a few system calls, and cards for it: for tests of QEMU itself. @module */
import { type CpioEntry, packCpio } from "../../scripts/guest/cpio.ts";
import { assembleInit, type Step } from "../../scripts/accelerate/init_program/init_program.ts";
import { defaultConfig, type QemuConfig } from "../../src/config/schema.ts";
import { createHypervisor, describeTemplate } from "../../src/hypervisor/create.ts";
import type { GuestHabit, Subject } from "../../src/hypervisor/testing/conformance_box.ts";
import { fixedSize, plainVm } from "../../src/hypervisor/testing/vm.ts";
import type { VmConfig } from "../../src/hypervisor/vm_config.ts";
import type { NetDevice } from "../../src/hypervisor/device.ts";
import { enterNetns } from "../../src/linux/process/namespace.ts";
import { openTap } from "../../src/linux/net/tap.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { PROGRAMS } from "./machine.ts";

const KERNEL = new URL("../../dist/guest/vmlinux", import.meta.url).pathname;
const STDOUT = 1;
const POWER_OFF = [0xfee1dead, 672274793, 0x4321fedc, 0];

const READY = new TextEncoder().encode("guest ready\n");
const SAY_READY: Step = { call: "write", args: [STDOUT, READY, READY.length], onError: "ignore" };

const FLOOD = new TextEncoder().encode("flood of words\n".repeat(4096));

/** One that `floods` writes to its console, and begins anew. */
export type TinyHabit = GuestHabit | "floods";

/** Step that each guest does last. An init that exits makes the kernel panic. */
const LAST: Record<TinyHabit, Step | readonly Step[]> = {
  floods: [
    { call: "write", args: [STDOUT, FLOOD, FLOOD.length], onError: "ignore" },
    { call: "execve", args: ["/init", ["/init"], []], onError: "stop" },
  ],
  idles: { call: "nanosleep", args: [new Uint8Array(new BigUint64Array([3600n, 0n]).buffer), 0], onError: "ignore" },
  "powers off": { call: "reboot", args: POWER_OFF, onError: "ignore" },
  panics: { call: "exit", args: [1], onError: "ignore" },
};

/** Goes with the process. */
export const directory: string = Deno.makeTempDirSync({ prefix: "kata-qemu-test-" });
globalThis.addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));

/** Written once: a template fits only the very file that it was made with. */
function initrd(guest: TinyHabit): string {
  const path = `${directory}/${guest}.cpio`;
  if (isThere(path)) return path;
  const entries: CpioEntry[] = [
    { kind: "directory", path: "dev", mode: 0o755 },
    { kind: "character device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    {
      kind: "file",
      path: "init",
      mode: 0o755,
      data: assembleInit([SAY_READY, LAST[guest]].flat(), Deno.build.arch),
    },
  ];
  Deno.writeFileSync(path, packCpio(entries));
  return path;
}

const MEMORY_MIB = 256;

/** A VM whose guest has this habit. */
export function vm(guest: TinyHabit, change: Partial<VmConfig> = {}): VmConfig {
  return plainVm({ kernel: KERNEL, initrd: initrd(guest), size: fixedSize(MEMORY_MIB), ...change });
}

/** Size of a VM that may grow. */
export const GROWING: VmConfig["size"] = { ...fixedSize(MEMORY_MIB), maxVcpus: 2, maxMemoryMiB: 1024 };

/** There is no kernel: scripts/guest-image has not run. */
export const ignore: boolean = leftOut(
  { url: Deno.mainModule },
  !isThere(KERNEL) && "there is no guest's kernel: scripts/guest-image makes it",
);

const QEMU: QemuConfig = { ...defaultConfig().hypervisor, ...PROGRAMS, block_device_driver: "virtio-blk-pci" };

/** QEMU itself, as the suite of all monitors sees it. */
export const SUBJECT: Subject = {
  name: "Qemu",
  vm,
  create: (config, { program = QEMU.path, ...options }) =>
    createHypervisor({ ...QEMU, path: program }, config, options),
  identify: (config) => describeTemplate(QEMU, config),
  bootMs: 60_000,
  ignore,
};

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** A card whose tap has the card's name. */
export function netCard(id: string, { path, queues }: { path: string; queues: number }): NetDevice {
  using _entered = enterNetns(path);
  const { fds } = openTap(id, { queues });
  return { kind: "net", id, mac: `02:00:00:00:00:0${id.at(-1)}`, tapFds: fds, vhostFds: [] };
}

/** Taps in a network namespace. */
export function links(path: string): string[] {
  using _entered = enterNetns(path);
  const table = Deno.readTextFileSync("/proc/thread-self/net/dev").split("\n").slice(2);
  return table.map((line) => line.split(":")[0]!.trim()).filter((name) => name.startsWith("eth")).sort();
}
