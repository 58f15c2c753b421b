/**
 * The machine of `scripts/systemd-image`: a Debian with systemd and cgroups v2 alone, whose disks are read-only and whose
 * changes are in its memory. It runs the script of a second disk, and turns itself off.
 *
 * @module
 */
import assert from "node:assert/strict";
import { clockParams, startClockMeasurement } from "../../src/hypervisor/common/guest_clock.ts";

export const REPO = new URL("../../", import.meta.url).pathname;
/** A machine that says nothing for so long, on a busy host too, hangs. */
const SILENCE_MS = 300_000;

/** As in the guests of Kata: what a boot under emulation can do without. */
const KERNEL_PARAMETERS = "console=ttyS0 quiet loglevel=3 panic=-1 tsc=reliable no_timer_check lpj=4000000 " +
  "noreplace-smp rcupdate.rcu_expedited=1 cryptomgr.notests random.trust_cpu=on mitigations=off audit=0 " +
  "systemd.unit=oci-tests.service systemd.show_status=no";

export interface MachineRun {
  /** Run by sh in `/suite`, where the second disk is mounted, with Deno as `./deno`. */
  script: string;
  /** Adds to what is on that disk; there is a directory `bin`. */
  bring(tree: string): Promise<void>;
  /** More words for the kernel's command line. */
  words?: readonly string[];
  /** Told of each piece of what the machine writes on its serial line. */
  onText?(text: string): void;
  /** When it is ended at the latest. Default: once it has said nothing for five minutes. */
  limitMs?: number;
}

/** Boots, and waits until the machine has turned itself off. @returns What it wrote on its serial line. */
export async function runMachine(run: MachineRun): Promise<string> {
  const directory = Deno.makeTempDirSync({ prefix: "kata-systemd-" });
  using stack = new DisposableStack();
  stack.defer(() => Deno.removeSync(directory, { recursive: true }));
  const tree = `${directory}/tree`;
  Deno.mkdirSync(`${tree}/bin`, { recursive: true });
  await run.bring(tree);
  Deno.copyFileSync(`${REPO}dist/program/deno`, `${tree}/deno`);
  Deno.writeTextFileSync(`${tree}/run`, `${ENVIRONMENT}\n${run.script}\n`);
  await command("mkfs.erofs", "--quiet", "-T0", "--all-root", `${directory}/disk`, tree);
  Deno.removeSync(tree, { recursive: true });
  return await boot(`${directory}/disk`, run);
}

const ENVIRONMENT = `export HOME=/root DENO_DIR=/tmp/deno NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
mkdir -p /var/cache
cd /suite`;

/** Program that the portable file is once it is unpacked. */
const RUNK = `#!/bin/sh
DENO_DIR=/tmp/deno-runk exec /suite/program/launcher /suite/program deno run --quiet -A --unstable-vsock --no-check \\
  --no-lock --no-config --cached-only /suite/program/runk.js "$@"
`;

/**
 * Adds runk as `bin/runk`, unpacked: under emulation that takes half a minute, or more than a test gives a call, and a call
 * that is given up leaves it to go on beside the next one's.
 */
export async function bringRunk(tree: string): Promise<void> {
  Deno.writeTextFileSync(`${tree}/bin/runk`, RUNK, { mode: 0o755 });
  await command("cp", "-r", "dist/program", `${tree}/program`);
}

/** Adds a program with all that it imports, as one file: under emulation the sources would take long to read. */
export async function bringBundle(source: string, target: string): Promise<void> {
  await command(
    Deno.execPath(),
    ...["bundle", "--quiet", "--no-check", "--platform", "deno", "--output", target, source],
  );
}

/** Runs a program of the host in the repository. */
export async function command(name: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(name, { args, cwd: REPO }).output();
  assert.ok(success, `${name}: ${new TextDecoder().decode(stderr)}`);
}

async function boot(disk: string, { words = [], onText, limitMs }: MachineRun): Promise<string> {
  // Without it the guest's clock runs several times too fast if the host was busy during the boot, and all waits end early.
  const clock = await clockParams(startClockMeasurement({ accelerator: "tcg", architecture: "x86_64" }));
  const drive = (name: string, file: string) => [
    "-drive",
    `file=${file},if=none,id=${name},format=raw,read-only=on`,
    "-device",
    `virtio-blk-pci,drive=${name}`,
  ];
  const args = [
    ..."-M q35,smm=off,vmport=off,sata=off,hpet=off,usb=off -accel tcg,thread=multi -m 2048 -smp 2".split(" "),
    ..."-bios /usr/share/qemu/qboot.rom -nodefaults -no-user-config -display none -no-reboot".split(" "),
    ..."-chardev stdio,id=line,signal=off -serial chardev:line -device virtio-rng-pci".split(" "),
    ...["-kernel", `${REPO}dist/guest/vmlinux`, "-initrd", `${REPO}dist/systemd/initrd.cpio`],
    ...["-append", [KERNEL_PARAMETERS, ...clock, ...words].join(" ")],
    ...drive("root", `${REPO}dist/systemd/root.erofs`),
    ...drive("tests", disk),
  ];
  await using machine = new Deno.Command("qemu-system-x86_64", { args, stdin: "null", stdout: "piped", stderr: "null" })
    .spawn();
  const end = () => machine.kill("SIGKILL");
  let timer = setTimeout(end, limitMs ?? SILENCE_MS);
  let text = "";
  for await (const piece of machine.stdout.pipeThrough(new TextDecoderStream())) {
    if (limitMs === undefined) {
      clearTimeout(timer);
      timer = setTimeout(end, SILENCE_MS);
    }
    const words = piece.replaceAll("\r", "");
    text += words;
    onText?.(words);
  }
  await machine.status;
  clearTimeout(timer);
  return text;
}
