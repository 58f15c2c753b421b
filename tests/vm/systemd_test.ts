/**
 * runk on a machine with a real systemd and cgroups v2 alone, in a VM made by `scripts/systemd-image`, beside runc and crun,
 * which show that the tests are right. Of the black-box suite it runs what depends on cgroups: under software emulation
 * all of it would take the better part of an hour.
 *
 * @module
 */
import assert from "node:assert/strict";
import { defaultConfig } from "../../src/config/schema.ts";
import { clockParams, startClockMeasurement } from "../../src/hypervisor/qemu/guest_clock.ts";

const REPO = new URL("../../", import.meta.url).pathname;
const RUNTIMES = ["runc", "crun", "runk"];
const FILES = "tests/vm/systemd_guest.ts tests/oci/cgroup_test.ts";
const LIMIT_MS = 900_000;

/** As in the guests of Kata: what a boot under emulation can do without. */
const KERNEL_PARAMETERS = "console=ttyS0 quiet loglevel=3 panic=-1 tsc=reliable no_timer_check lpj=4000000 " +
  "noreplace-smp rcupdate.rcu_expedited=1 cryptomgr.notests random.trust_cpu=on mitigations=off audit=0 " +
  "systemd.unit=oci-tests.service systemd.show_status=no";

/** What the service in the root image runs. */
function script(): string {
  const call = (runtime: string) => {
    const path = runtime === "runk" ? "/suite/bin/runk" : runtime;
    return `echo "# runtime ${runtime}"\nRUNTIME=${path} ./deno test -A --no-check --no-lock --reporter=tap ${FILES} 2>&1`;
  };
  return [
    "export HOME=/root DENO_DIR=/tmp/deno NO_COLOR=1 DENO_NO_UPDATE_CHECK=1",
    "mkdir -p /var/cache",
    "cd /suite",
    "grep -q ^cgroup2 /proc/mounts && ! grep -q ^cgroup\\  /proc/mounts && echo '# pure v2'",
    ...RUNTIMES.map(call),
    "echo '# finished'",
  ].join("\n");
}

/** A disk with the tests, Deno and runk. */
async function makeDisk(directory: string): Promise<string> {
  const tree = `${directory}/tree`;
  Deno.mkdirSync(`${tree}/bin`, { recursive: true });
  await run("cp", "-rL", "--parents", "src", "tests/oci", "tests/vm/systemd_guest.ts", "deno.json", tree);
  Deno.copyFileSync(`${REPO}dist/program/deno`, `${tree}/deno`);
  Deno.copyFileSync(`${REPO}dist/kata`, `${tree}/bin/kata`);
  Deno.symlinkSync("kata", `${tree}/bin/runk`);
  Deno.writeTextFileSync(`${tree}/run`, `${script()}\n`);
  await run("mkfs.erofs", "--quiet", "-T0", "--all-root", `${directory}/disk`, tree);
  return `${directory}/disk`;
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, cwd: REPO }).output();
  assert.ok(success, `${command}: ${new TextDecoder().decode(stderr)}`);
}

/** Boots, and waits until the machine has turned itself off. @returns What it wrote on its serial line. */
async function boot(directory: string, disk: string): Promise<string> {
  const serial = `${directory}/serial`;
  // Without it the guest's clock runs several times too fast if the host was busy during the boot, and all waits end early.
  const clock = await clockParams(startClockMeasurement(defaultConfig()));
  const drive = (name: string, file: string) => [
    "-drive",
    `file=${file},if=none,id=${name},format=raw,read-only=on`,
    "-device",
    `virtio-blk-pci,drive=${name}`,
  ];
  const args = [
    ..."-M q35,smm=off,vmport=off,sata=off,hpet=off,usb=off -accel tcg,thread=multi -m 2048 -smp 2".split(" "),
    ..."-bios /usr/share/qemu/qboot.rom -nodefaults -no-user-config -display none -no-reboot".split(" "),
    ...["-serial", `file:${serial}`, "-device", "virtio-rng-pci"],
    ...["-kernel", `${REPO}dist/guest/vmlinux`, "-initrd", `${REPO}dist/systemd/initrd.cpio`],
    ...["-append", [KERNEL_PARAMETERS, ...clock].join(" ")],
    ...drive("root", `${REPO}dist/systemd/root.erofs`),
    ...drive("tests", disk),
  ];
  await using machine = new Deno.Command("qemu-system-x86_64", { args, stdin: "null", stdout: "null", stderr: "null" })
    .spawn();
  const timer = setTimeout(() => machine.kill("SIGKILL"), LIMIT_MS);
  await machine.status;
  clearTimeout(timer);
  return Deno.readTextFileSync(serial).replaceAll("\r", "");
}

interface Outcome {
  name: string;
  /** Left out for this runtime, whose lack `tests/oci/suite.ts` names. */
  isSkipped: boolean;
  isOk: boolean;
  /** What follows the line if it failed. */
  details: string;
}

/** Reads TAP: see https://testanything.org/tap-version-14-specification.html */
function outcomes(report: string): Outcome[] {
  return [...report.matchAll(/^(not )?ok \d+ - (.*)\n((?: .*\n)*)/gm)].map(([, not, text = "", details = ""]) => {
    const name = text.replace(/ # SKIP.*/, "");
    return { name, isSkipped: name !== text, isOk: not === undefined, details };
  });
}

Deno.test({
  name: "a machine with systemd and cgroups v2 alone: runk does what runc and crun do there",
  ignore: Deno.build.arch !== "x86_64", // the machine above is a PC
  async fn(t) {
    const directory = Deno.makeTempDirSync({ prefix: "kata-systemd-" });
    using stack = new DisposableStack();
    stack.defer(() => Deno.removeSync(directory, { recursive: true }));
    const text = await boot(directory, await makeDisk(directory));
    assert.match(text, /^# pure v2$/m, text.slice(-4000));
    const reports = text.split(/^# runtime /m).slice(1);
    assert.deepEqual(reports.map((report) => report.split("\n", 1)[0]), RUNTIMES, text.slice(-4000));
    assert.match(text, /^# finished$/m, text.slice(-4000));
    for (const report of reports) {
      const found = outcomes(report);
      const runtime = report.split("\n", 1)[0];
      assert.ok(found.length >= 13, `${runtime} ran ${found.length} tests: ${report}`);
      for (const { name, isSkipped, isOk, details } of found) {
        await t.step({
          name: `${runtime}: ${name}`,
          ignore: isSkipped && runtime !== "runk",
          fn: () => assert.ok(isOk, details),
        });
      }
    }
  },
});
