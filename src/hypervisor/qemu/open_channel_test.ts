import assert from "node:assert/strict";
import { errorChain } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import { leftOut } from "../../base/testing/left_out.ts";
import { defaultConfig } from "../../config/schema.ts";
import type { AgentChannel } from "../common/agent_channel.ts";
import { Daemons } from "../process/daemons.ts";
import { plainVm } from "../testing/vm.ts";
import { openChannel } from "./open_channel.ts";

type Wanted = AgentChannel["kind"] | "auto";

/** Opens a channel on a host that has these. */
async function open(wanted: Wanted, { device, daemon = "/nowhere" }: { device: string; daemon?: string }) {
  await using undo = new AsyncDisposableStack();
  const runDir = Deno.makeTempDirSync({ prefix: "kata-channel-" });
  undo.defer(() => Deno.removeSync(runDir, { recursive: true }));
  const daemons = undo.use(new Daemons());
  const { hypervisor } = defaultConfig();
  const config = { ...hypervisor, agent_transport: wanted, vhost_vsock_daemon: daemon };
  const lines: string[] = [];
  const log = createLogger({ sink: (line) => lines.push(line) });
  const vm = plainVm();
  const signal = AbortSignal.timeout(10_000);
  const { channel } = await openChannel({ config, vm, runDir, log, signal, vsockDevice: device }, { daemons, undo });
  return { kind: channel.kind, lines };
}

/** A node as systemd makes it on each host, of a number that no driver of this one has. */
function deadNode(directory: string): string {
  const path = `${directory}/vhost-vsock`;
  const { success } = new Deno.Command("mknod", { args: [path, "c", "10", "241"], stderr: "null" }).outputSync();
  return success ? path : "";
}

const directory = Deno.makeTempDirSync({ prefix: "kata-nodes-" });
globalThis.addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));
const node = deadNode(directory);
const ignore = leftOut(import.meta, node === "" && "device nodes cannot be made here");

Deno.test({
  name: "kvm M1: a vsock node whose driver is not there is passed over by auto, and refused with its errno by name",
  ignore,
  async fn() {
    const { kind, lines } = await open("auto", { device: node });
    assert.equal(kind, "virtio-serial");
    assert.match(lines.join(""), new RegExp(`open ${node}: E(?:NODEV|NXIO|PERM|ACCES)`));
    await assert.rejects(open("vsock", { device: node }), (error) => {
      assert.match(errorChain(error), /^Cannot use agent_transport "vsock": open .*: E/);
      return true;
    });
  },
});

Deno.test("kvm M1: a vsock daemon that cannot run here is passed over by auto, with its last words", async () => {
  const daemon = `${directory}/daemon`;
  Deno.writeTextFileSync(daemon, "#!/bin/sh\necho 'GLIBC_2.99 not found' >&2\nexit 1\n");
  Deno.chmodSync(daemon, 0o755);
  const { kind, lines } = await open("auto", { device: "/nowhere", daemon });
  assert.equal(kind, "virtio-serial");
  assert.match(lines.join(""), /GLIBC_2.99 not found/);
  await assert.rejects(open("hybrid-vsock", { device: "/nowhere", daemon }), /agent_transport "hybrid-vsock"/);
});
