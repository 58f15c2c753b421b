/** Booting the guest and talking to its agent. Needs root, QEMU and dist/guest. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { VERSION } from "../../src/base/version.ts";
import { bootMachine, VSOCK_DAEMON } from "./machine.ts";

const TRANSPORTS = [
  { transport: "virtio-serial", needs: "/dev/null" },
  { transport: "hybrid-vsock", needs: VSOCK_DAEMON },
  { transport: "vsock", needs: "/dev/vhost-vsock" },
] as const;

for (const { transport, needs } of TRANSPORTS) {
  Deno.test({
    name: `the guest boots and its agent answers over ${transport}`,
    ignore: !exists(needs),
    fn: async () => {
      const settings = [`agent_transport = "${transport}"`, `vhost_vsock_daemon = "${VSOCK_DAEMON}"`];
      await using machine = await bootMachine({ settings });
      const { agentDetails } = await machine.agent.api.getGuestDetails({ memBlockSize: true });
      assert.ok(agentDetails?.initDaemon, "the agent is the guest's init");
      assert.equal(agentDetails.version, VERSION);
      await machine.vm.stop();
      assert.ok((await machine.vm.wait()).expected);
    },
  });
}

Deno.test("the console keeps what the guest writes", async () => {
  await using machine = await bootMachine();
  assert.match(machine.vm.consoleTail(20).join("\n"), /Agent serves/);
});

Deno.test("a guest without its root image says so, and the boot ends at once", async () => {
  const empty = await Deno.makeTempFile({ prefix: "kata-empty-image-" });
  await Deno.truncate(empty, 1 << 20);
  try {
    await assert.rejects(bootMachine({ image: empty }), /init: Cannot mount \/dev\/vda/);
  } finally {
    await Deno.remove(empty);
  }
});
