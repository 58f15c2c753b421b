/**
 * Our shim on Kata's own agent, through real containerd. Needs root, containerd, QEMU, the vsock daemon, and
 * `KATA_UPSTREAM_AGENT`: an initramfs whose init loads the modules of dist/guest's kernel and becomes that agent. It is in
 * no package: without it `tests/system/katas_agent_test.ts` has a fake with its habits.
 */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { until } from "../support/wait.ts";
import { VSOCK_DAEMON } from "../vm/machine.ts";
import { Containerd, releases } from "./containerd.ts";

const INITRD = Deno.env.get("KATA_UPSTREAM_AGENT") ?? "";

/** Over hybrid vsock, where Kata's agent listens by itself; it knows no proof of the host. */
function onKatasAgent(toml: string): string {
  const ours = toml.split("\n").filter((line) => !/^(?:initrd|image) =/.test(line)).join("\n");
  return `${ours}
initrd = "${INITRD}"
agent_transport = "hybrid-vsock"
vhost_vsock_daemon = "${VSOCK_DAEMON}"
[agent.kata]
host_proof = "none"
reconnect_timeout_ms = 60000
`;
}

Deno.test({
  name: "wire: containers of Kata's own agent run, say all they have to say, take input and execs, and end",
  ignore: leftOut(
    import.meta,
    (INITRD === "" && "KATA_UPSTREAM_AGENT names no initramfs") ||
      (releases().length === 0 && "containerd is not installed") ||
      (!exists(VSOCK_DAEMON) && "vhost-device-vsock is not unpacked"),
  ),
  sanitizeResources: false,
  async fn() {
    await using containerd = await Containerd.start({ release: releases()[0]!, configure: onKatasAgent });
    const lines = 20_000;
    const said = await containerd.runContainer("said", ["sh", "-c", `seq 1 ${lines}; echo err >&2; exit 7`]);
    assert.deepEqual([said.status, said.stderr], [7, "err\n"]);
    assert.equal(said.stdout.split("\n").length, lines + 1);
    await using container = await containerd.background(["sh", "-c", "trap 'exit 143' TERM; sleep 1000 & wait"]);
    for (let round = 0; round < 40; round++) {
      const exec = ["task", "exec", "--exec-id", `e${round}`, container.id, "sh", "-c", "seq 1 3000; exit 3"];
      const { status, stdout } = await containerd.ctr(...exec);
      assert.deepEqual([status, stdout.split("\n").length], [3, 3001], `exec ${round}`);
    }
    const none = await containerd.ctr("task", "exec", "--exec-id", "none", container.id, "/none");
    assert.notEqual(none.status, 0);
    await containerd.must("task", "kill", "-s", "TERM", container.id);
    await until(async () => /STOPPED/.test((await containerd.ctr("task", "ls")).stdout));
  },
});
