/** The agent as PID 1: of a PID namespace here, of a machine in tests/vm. */
import assert from "node:assert/strict";
import { AgentBox } from "./agent_box.ts";

/** Runs a shell script in the namespaces of the agent. */
async function inside(agentPid: number, script: string): Promise<string> {
  const args = ["-t", `${agentPid}`, "-m", "-u", "-i", "-n", "-p", "sh", "-c", script];
  const { stdout } = await new Deno.Command("nsenter", { args, stderr: "inherit" }).output();
  return new TextDecoder().decode(stdout);
}

function firstChild(pid: number): number {
  return Number(Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ")[0]);
}

Deno.test("the agent as PID 1 prepares the machine, reaps orphans, and ends the machine with the sandbox", async () => {
  await using box = await AgentBox.start({ asInit: true });
  const pid = firstChild(box.pid);
  assert.ok((await box.agent.getGuestDetails({})).agentDetails?.initDaemon);
  assert.match(await inside(pid, "ip link show lo"), /\bUP\b/);
  await inside(pid, "for i in 1 2 3 4 5 6 7 8; do (sleep 0.0$i & exec true); done");
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.doesNotMatch(await inside(pid, "ps -e -o stat,comm"), /^Z/m);
  await box.agent.createSandbox({ sandboxId: "s1", hostname: "pod-one", dns: ["nameserver 192.0.2.1"] });
  assert.equal(await inside(pid, "cat /etc/resolv.conf"), "nameserver 192.0.2.1\n");
  assert.equal((await inside(pid, "hostname")).trim(), "pod-one");
  await box.agent.destroySandbox({});
  const status = await box.process.status;
  assert.equal(status.signal ?? status.code, "SIGINT", "the end of the machine's PID namespace");
});
