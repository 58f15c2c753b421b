/** Pods in what they once did otherwise than under runc, each by its row. See `pod.ts`. */
import assert from "node:assert/strict";
import { must } from "./runk.ts";
import { pods, podsOnAll, SLEEP, STATE } from "./pod.ts";
import { BRIDGE, GATEWAY } from "./pod_settings.ts";
import { until } from "../support/wait.ts";

const MIB = 2 ** 20;
/** Pid namespaces by their numbers in the interface. */
const PID = { container: 1, target: 3 } as const;
const ROUNDS = 5;

podsOnAll(
  "pods A6: an exec ends when its process has, though its client has not written all of its input",
  async (node) => {
    await using pod = await node.pod("pod");
    const container = await pod.run("one", SLEEP);
    for (const script of ["echo out; exit 7", "head -c 5; exit 7", "exec <&-; sleep 1; exit 7", "sleep 300 & exit 7"]) {
      await using stream = await container.interact(script);
      for (let at = 0; at < 2; at++) stream.write("x".repeat(MIB));
      assert.equal(await stream.exitCode(), 7, script);
    }
  },
);

pods("pods A7: a container's memory is counted as its own kernel counts it, cache apart", async (node) => {
  await using pod = await node.pod("pod");
  const script = `dd if=/dev/zero of=/tmp/cache bs=1M count=80; cat /tmp/cache >/dev/null; ${SLEEP}`;
  const container = await pod.run("one", script);
  await until(() => container.log().some((line) => line.endsWith("ready")));
  const { stats: { memory } } = await container.call("ContainerStats", {});
  const inside = await container.exec("cat /sys/fs/cgroup/memory.stat");
  const [working, rss] = [Number(memory.working_set_bytes.value), Number(memory.rss_bytes?.value ?? 0)];
  const anon = Number(/^anon (\d+)$/m.exec(inside)?.[1]);
  assert.ok(working < 40 * MIB, `the working set has ${working} bytes: its cache is in it`);
  assert.ok(rss > 0 && Math.abs(rss - anon) < 4 * MIB, `${rss} bytes are told of, ${anon} are inside`);
  assert.ok(Number(memory.page_faults?.value) > 0);
});

pods("pods A14: a container that targets another one has that one's processes, and only those", async (node, test) => {
  await using pod = await node.pod("pod");
  const own = { security_context: { namespace_options: { pid: PID.container } } };
  const app = await pod.run("app", "sleep 4321; :", { linux: own });
  const debug = async (name: string, target: { id: string }) => {
    const namespace_options = { pid: PID.target, target_id: target.id };
    return await pod.run(name, SLEEP, { linux: { security_context: { namespace_options } } });
  };

  await test.step("the first process is the target's", async () => {
    const found = await (await debug("debug", app)).exec("ps");
    assert.match(found, /^ *1 .*sleep 4321/m);
    assert.doesNotMatch(found, /pause|sleep 1000000\n.*sleep 1000000/s);
  });
  await test.step("where several may be meant it is refused, with their names", async () => {
    await pod.run("sidecar", SLEEP, { linux: own });
    await assert.rejects(debug("second", app), new RegExp(`may be that of .*"${app.id}"`));
  });
});

pods("pods B3: a pod finds its gateway again when that has got another hardware address", async (node) => {
  await using pod = await node.pod("pod");
  const container = await pod.run("one", SLEEP);
  const ping = async () => (await container.tryExec(`ping -c 1 -W 2 ${GATEWAY.inet}`)).status === 0;
  await until(ping);
  await must(["ip", "link", "set", "dev", BRIDGE, "address", "02:00:00:00:00:99"]);
  await until(ping, { ms: 60_000 });
});

pods("pods A9: a pod's container that runs out of memory at once says so, each time", async (node) => {
  await using pod = await node.pod("pod");
  const linux = { resources: { memory_limit_in_bytes: 32 * MIB, memory_swap_limit_in_bytes: 32 * MIB } };
  for (let round = 0; round < ROUNDS; round++) {
    const container = await pod.run(`hog${round}`, "exec dd if=/dev/zero of=/dev/null bs=100M count=1", { linux });
    await until(async () => (await container.status()).state === STATE.exited);
    await until(async () => (await container.status()).reason === "OOMKilled");
    assert.equal((await container.status()).exit_code, 137);
  }
});
