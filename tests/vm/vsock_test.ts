/** The kernel's own vsock, which the machine that runs the tests may lack. Needs QEMU, dist/guest and dist/systemd. */
import assert from "node:assert/strict";
import { CACHE } from "./machine.ts";
import { command, runMachine } from "./systemd_machine.ts";

/** In the order in which they need each other. */
const MODULES = ["vsock", "vmw_vsock_virtio_transport_common", "vsock_loopback"];

const SCRIPT = [
  ...MODULES.map((name) => `busybox insmod modules/$(uname -r)/${name}.ko`),
  "./deno run -A --unstable-vsock --no-check --no-lock --no-config vsock_flood.js ports 2>&1",
].join("\n");

Deno.test({
  name: "S1: a local user who floods a vsock keeps the host from no agent",
  ignore: Deno.build.arch !== "x86_64", // the machine is a PC
  async fn() {
    const text = await runMachine({ script: SCRIPT, bring });
    const [, answered, dialled] = /^# host answered (\d+) of (\d+), attempts /m.exec(text) ?? assert.fail(text);
    assert.equal(answered, dialled, text);
    assert.match(text, /^# flooder of uid 65534 connected [1-9]\d+ times$/m, text);
    assert.match(text, /^# refused [1-9]\d*$/m, text);
  },
});

async function bring(tree: string): Promise<void> {
  const flags = ["bundle", "--quiet", "--no-check", "--platform", "deno", "--output"];
  await command(Deno.execPath(), ...flags, `${tree}/vsock_flood.js`, "tests/vm/vsock_flood.ts");
  const packages = `${CACHE}/unpacked/bookworm-amd64`;
  for (const { name } of Deno.readDirSync(packages)) {
    const version = /^linux-image-(\d.*)$/.exec(name)?.[1];
    if (version === undefined) continue;
    Deno.mkdirSync(`${tree}/modules/${version}`, { recursive: true });
    const from = `${packages}/${name}/lib/modules/${version}/kernel/net/vmw_vsock`;
    for (const module of MODULES) Deno.copyFileSync(`${from}/${module}.ko`, `${tree}/modules/${version}/${module}.ko`);
  }
}
