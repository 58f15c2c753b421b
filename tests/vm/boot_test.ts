/** Booting the guest and talking to its agent. Needs root, QEMU and dist/guest. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { VERSION } from "../../src/base/version.ts";
import { AGENT_LOG_PORT } from "../../src/agent_api/names.ts";
import { createClient } from "@connectrpc/connect";
import { Health } from "../../src/proto/health_pb.ts";
import { createTtrpcTransport } from "../../src/rpc/ttrpc/client.ts";
import { connectVsock } from "../../src/linux/net/vsock/vsock_stream.ts";
import { dial } from "../../src/rpc/transport/address.ts";
import { writeAll } from "../../src/rpc/transport/duplex.ts";
import { type HostKey, newHostKey } from "../../src/rpc/transport/host_key.ts";
import { connectAgent } from "../../src/sandbox/agent/client.ts";
import { bootMachine, VSOCK_DAEMON } from "./machine.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";

const TRANSPORTS = [
  { transport: "virtio-serial", needs: "/dev/null" },
  { transport: "hybrid-vsock", needs: VSOCK_DAEMON },
  { transport: "vsock", needs: "/dev/vhost-vsock" },
] as const;

for (const { transport, needs } of TRANSPORTS) {
  Deno.test({
    name: `the guest boots and its agent answers over ${transport}`,
    ignore: leftOut(import.meta, !exists(needs) && `there is no ${needs}`),
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

for (const { transport, needs } of TRANSPORTS.slice(1)) {
  const settings = [
    `agent_transport = "${transport}"`,
    `vhost_vsock_daemon = "${VSOCK_DAEMON}"`,
    `kernel_params = "agent.log_vport=${AGENT_LOG_PORT}"`,
  ];

  Deno.test({
    name: `S1: over ${transport} agent and log answer nobody who does not know the key of this one VM`,
    ignore: leftOut(import.meta, !exists(needs) && `there is no ${needs}`),
    fn: async () => {
      await using machine = await bootMachine({ settings });
      const agent = machine.vm.agentAddress();
      for (const key of [undefined, newHostKey()]) {
        await assert.rejects(askAgent(agent, key));
        assert.equal(await readLog(agent, key), "");
      }
      await askAgent(agent, machine.vm.agentKey());
      assert.match(await readLog(agent, machine.vm.agentKey()), /Agent serves/);
      await machine.agent.health.check({});
    },
  });

  Deno.test({
    name: `over ${transport} the agent answers whoever connects if the configuration has host_proof = "none"`,
    ignore: leftOut(import.meta, !exists(needs) && `there is no ${needs}`),
    fn: async () => {
      await using machine = await bootMachine({ settings, agent: ['host_proof = "none"'] });
      await askAgent(machine.vm.agentAddress());
      assert.match(await readLog(machine.vm.agentAddress()), /Agent serves/);
    },
  });
}

Deno.test({
  name: "F14: the vsock daemon has no capabilities and a user of its own, and the guest is reached nevertheless",
  ignore: leftOut(import.meta, !exists(VSOCK_DAEMON) && "vhost-device-vsock is not unpacked"),
  fn: async () => {
    const directory = Deno.makeTempDirSync({ prefix: "kata-daemon-" });
    try {
      Deno.chmodSync(directory, 0o755);
      const daemon = `${directory}/vhost-device-vsock`;
      Deno.copyFileSync(VSOCK_DAEMON, daemon);
      const settings = ['agent_transport = "hybrid-vsock"', `vhost_vsock_daemon = "${daemon}"`];
      await using machine = await bootMachine({ settings });
      const { pid, pids } = await machine.vm.info();
      const status = Deno.readTextFileSync(`/proc/${pids.find((each) => each !== pid)}/status`);
      assert.match(status, /^Uid:\t(\d{10})\t\1\t\1\t\1$/m);
      for (const set of ["Prm", "Eff", "Bnd"]) assert.match(status, new RegExp(`^Cap${set}:\t0{16}$`, "m"));
      assert.match(status, /^NoNewPrivs:\t1$/m);
      putAnotherSocketInItsPlace(machine.vm.agentAddress());
      await askAgent(machine.vm.agentAddress(), machine.vm.agentKey());
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
});

/** As a guest could that has taken the daemon over: the directory is the daemon's. */
function putAnotherSocketInItsPlace(address: string): void {
  const open = /^hvsock:\/\/(.*):\d+$/.exec(address)?.[1] ?? "";
  const path = Deno.readLinkSync(open);
  Deno.renameSync(path, `${path}.moved`);
  Deno.symlinkSync("/nowhere.sock", path);
}

/** Call that anybody on the host can try. */
async function askAgent(address: string, key?: HostKey): Promise<void> {
  using transport = createTtrpcTransport(await dial(address, { key, connectFrom: connectVsock }), {
    peer: "the agent",
    timeoutMs: () => 20_000,
  });
  await createClient(Health, transport).check({});
}

/** @returns The beginning of the log; empty if the guest closes the connection. */
async function readLog(agent: string, key?: HostKey): Promise<string> {
  using connection = await dial(agent.replace(/:\d+$/, `:${AGENT_LOG_PORT}`), { key, connectFrom: connectVsock });
  try {
    if (key === undefined) await writeAll(connection, new Uint8Array(100)); // else it would wait for more
    const buffer = new Uint8Array(64 << 10);
    return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
  } catch {
    return "";
  }
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

Deno.test("kvm M4: a call on its way when the VM dies says how it died", async () => {
  await using machine = await bootMachine();
  const signal = AbortSignal.timeout(20_000);
  await machine.hangUp();
  using agent = await connectAgent(machine.vm, { sandboxId: "vm-test", config: machine.config.agent, signal });
  Deno.kill((await machine.vm.info()).pid!, "SIGKILL");
  await assert.rejects(agent.machine.seed(new Uint8Array(64)), {
    code: "UNAVAILABLE",
    message: /; the VM ended: qemu \(pid \d+\) was killed by SIGKILL/,
  });
});
