/** The guest of arm64, on an emulated machine, whatever this one is. Needs root, QEMU for arm64 and that guest's image. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import type { Spec } from "../../src/oci/spec/spec.ts";
import { connectAgent } from "../../src/sandbox/agent/client.ts";
import { warmUp } from "../../src/sandbox/machine/warm_up.ts";
import { Box } from "./disk_box.ts";
import { bootMachine, CACHE, REPO, VSOCK_DAEMON } from "./machine.ts";

const QEMU = "/usr/bin/qemu-system-aarch64";
const TARGET = "aarch64-unknown-linux-gnu";
const GUEST = Deno.build.arch === "aarch64" ? `${REPO}dist/guest` : `${REPO}dist/${TARGET}/guest`;
/** The bundle, which is the same for all architectures. */
const PROGRAM = `${REPO}dist/program`;
/** The C library, libseccomp and busybox that the image was made of. */
const FILES = `${CACHE}/unpacked/bookworm-arm64/guest-files`;

const MACHINE = [`path = "${QEMU}"`, 'machine_type = "virt"', 'accelerator = "tcg"'];
const DENO = denoOfArm();
const missing = [QEMU, `${GUEST}/root.erofs`, `${PROGRAM}/main.js`, DENO, FILES].find((path) => !exists(path));
const ignore = leftOut(
  import.meta,
  missing !== undefined && `there is no ${missing.replace(REPO, "").replace(CACHE, "")}`,
);

/** The Deno that `scripts/guest-image` has put into the image. */
function denoOfArm(): string {
  const suffix = Deno.build.arch === "aarch64" ? /^deno-[\d.]+$/ : /^deno-[\d.]+-arm64$/;
  const found = [...Deno.readDirSync(CACHE)].map(({ name }) => name).filter((name) => suffix.test(name)).sort().at(-1);
  return `${CACHE}/${found ?? "deno-arm64"}/node_modules/@deno/linux-arm64-glibc/deno`;
}

Deno.test({
  name: "versions arm64: the guest boots, its agent answers over a vsock to whoever has the key, and runs containers",
  ignore: ignore || leftOut(import.meta, !exists(VSOCK_DAEMON) && "vhost-device-vsock is not unpacked"),
  async fn() {
    const settings = [...MACHINE, 'agent_transport = "hybrid-vsock"', `vhost_vsock_daemon = "${VSOCK_DAEMON}"`];
    await using machine = await bootMachine({ settings, guest: GUEST });
    await machine.hangUp();
    const signal = AbortSignal.timeout(60_000);
    using agent = await connectAgent(machine.vm, { sandboxId: "arm64", config: machine.config.agent, signal });
    await warmUp(agent);
    assert.equal(machine.vm.resize, undefined);
    assert.match(await machine.vm.diagnose!(), /^the machine is running, its processor .* 0x[0-9a-f]+/);
  },
});

/** Everything that a container of a container needs, as of a host that is a container itself. */
function privileged({ process, mounts, linux }: Spec): void {
  const all = [
    "SYS_ADMIN",
    "SYS_PTRACE",
    "SYS_RESOURCE",
    "SYS_CHROOT",
    "SETPCAP",
    "SETFCAP",
    "NET_ADMIN",
    "AUDIT_WRITE",
  ];
  for (const set of Object.values(process!.capabilities ?? {})) set.push(...all.map((name) => `CAP_${name}`));
  process!.noNewPrivileges = false;
  mounts!.find(({ destination }) => destination === "/sys")!.options = ["nosuid", "noexec", "nodev"];
  linux!.resources = { devices: [{ allow: true, access: "rwm" }] };
}

/** The program of arm64 with the libraries that it needs, and a bundle whose root file system is busybox. */
function fill(rootfs: string): void {
  const copy = (from: string, to: string) => {
    const { success } = new Deno.Command("cp", { args: ["-aL", from, `${rootfs}/${to}`] }).outputSync();
    assert.ok(success, from);
  };
  Deno.removeSync(`${rootfs}/bin/busybox`);
  copy(`${FILES}/bin/busybox`, "bin/busybox");
  Deno.mkdirSync(`${rootfs}/kata`);
  copy(DENO, "kata/deno");
  for (const { name } of Deno.readDirSync(PROGRAM)) {
    if (name.endsWith(".js")) copy(`${PROGRAM}/${name}`, `kata/${name}`);
  }
  for (const directory of ["lib", "usr/lib"]) {
    if (!exists(`${FILES}/${directory}`)) continue;
    Deno.mkdirSync(`${rootfs}/${directory}`, { recursive: true });
    copy(`${FILES}/${directory}/.`, directory);
  }
}

const RUNK = "/kata/deno run -A --unstable-vsock --no-check --no-lock --no-config --cached-only /kata/main.js runk";

const SMOKE = `set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /b/rootfs/bin; cp -a /bin/busybox /bin/sh /bin/echo /bin/sleep /bin/cat /b/rootfs/bin/; cd /b
${RUNK} spec
sed -i 's/"sh"/"sh", "-c", "echo inside; exit 7"/; s/"terminal": true/"terminal": false/' config.json
set +e; ${RUNK} run first; echo "status $?"; set -e
sed -i 's/echo inside; exit 7/sleep 1000/' config.json
${RUNK} run --detach second </dev/null >/dev/null 2>&1
${RUNK} state second | grep '"status"'
${RUNK} exec second cat /proc/1/comm
${RUNK} delete --force second
ls /run/runk | wc -l
`;

Deno.test({
  name: "versions arm64: a sandbox runs a container on a disk, and runk in it runs, execs and deletes others",
  ignore,
  async fn() {
    await using box = await Box.start({ settings: [...MACHINE, "default_memory = 1024"], guest: GUEST }, {
      size: "400M",
      fill,
    });
    const said = await box.run("runk", SMOKE, box.disk("runk"), { change: privileged });
    assert.match(said, /^inside\nstatus 7\n/);
    assert.match(said, /"status": "running"[^]*\nsleep\n0\n$/);
  },
});
