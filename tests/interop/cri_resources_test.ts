/** What a pod's containers get of the host and of their VM: volumes, limits, statistics, namespaces. See `pod.ts`. */
import assert from "node:assert/strict";
import { processesOf, until } from "./containerd.ts";
import { pods, SLEEP } from "./pod.ts";
import { CGROUP_PARENT } from "./pod_settings.ts";

const MIB = 2 ** 20;

for (const only of [true, false]) {
  const configure = (toml: string) => `${toml}[runtime]\nsandbox_cgroup_only = ${only}\n`;
  pods(`B45: with sandbox_cgroup_only = ${only} the VM is counted where it should be`, async (node) => {
    await using pod = await node.pod("pod");
    const group = (program: string) => {
      const [pid] = processesOf(program, pod.id);
      assert.ok(pid !== undefined);
      const groups = Deno.readTextFileSync(`/proc/${pid}/cgroup`).split("\n");
      return groups.map((line) => line.split(":")).find(([, name]) => name === "memory" || name === "")?.[2];
    };
    const ofPod = `${CGROUP_PARENT}/${pod.id}`;
    assert.equal(group("virtiofsd"), only ? ofPod : `/kata_overhead/${pod.id}`);
    if (only) assert.equal(group("qemu-system"), ofPod);
    const [qemu] = processesOf("qemu-system", pod.id);
    const threads = [...Deno.readDirSync(`/proc/${qemu}/task`)].map(({ name }) =>
      Deno.readTextFileSync(`/proc/${qemu}/task/${name}/cgroup`)
    );
    assert.ok(threads.some((groups) => groups.includes(ofPod)), "the vCPUs are in the pod's group");
  }, { configure });
}

pods("B36: a pod's limits size its VM before the boot, and its containers' limits hold inside", async (node) => {
  const resources = { cpu_period: 100_000, cpu_quota: 120_000, memory_limit_in_bytes: 512 * MIB };
  await using pod = await node.pod("pod", { linux: { resources } });
  const limits = { linux: { resources: { memory_limit_in_bytes: 100 * MIB, cpu_period: 100_000, cpu_quota: 50_000 } } };
  const container = await pod.run("one", SLEEP, limits);
  assert.equal(await container.exec("grep -c ^processor /proc/cpuinfo"), "2\n");
  const limit = "cd /sys/fs/cgroup; cat memory.max 2>/dev/null || cat memory/memory.limit_in_bytes";
  assert.equal(await container.exec(limit), `${100 * MIB}\n`);
  await container.call("UpdateContainerResources", { linux: { memory_limit_in_bytes: 200 * MIB } });
  assert.equal(await container.exec(limit), `${200 * MIB}\n`);
  const { stats } = await container.call("ContainerStats", {});
  assert.ok(Number(stats.memory.working_set_bytes.value) > 0);
});

pods("a VM that is not sized before grows with its containers, and refuses what it cannot have", async (node) => {
  await using pod = await node.pod("pod");
  const limits = (cpus: number, mib: number) => ({
    linux: { resources: { cpu_period: 100_000, cpu_quota: cpus * 100_000, memory_limit_in_bytes: mib * MIB } },
  });
  const first = await pod.run("first", SLEEP);
  const memory = async () => Number((await first.exec("grep MemTotal /proc/meminfo")).replace(/\D/g, "")) / 1024;
  const before = await memory();
  assert.equal(await first.exec("grep -c ^processor /proc/cpuinfo"), "1\n");
  await pod.run("second", SLEEP, limits(1, 256));
  assert.equal(await first.exec("grep -c ^processor /proc/cpuinfo"), "2\n");
  assert.ok(await memory() > before + 200, `${before} MiB became ${await memory()} MiB`);
  await assert.rejects(pod.run("third", SLEEP, limits(0, 100_000)), /MiB asked, the limit is \d+ MiB/);
  assert.equal(await first.exec("echo still here"), "still here\n");
}, { configure: (toml) => `${toml}default_maxvcpus = 2\n[runtime]\nstatic_sandbox_resource_mgmt = false\n` });

pods("containers share the pod's pid namespace if the pod wants it, and signals stay with one (B7)", async (node) => {
  const OF_THE_POD = 0;
  const OF_THE_CONTAINER = 1;
  const mode = (pid: number) => ({ security_context: { namespace_options: { pid } } });
  await using shared = await node.pod("shared", { linux: mode(OF_THE_POD) });
  const [one, two] = [
    await shared.run("one", SLEEP, { linux: mode(OF_THE_POD) }),
    await shared.run("two", "sleep 777 & exec sleep 888", { linux: mode(OF_THE_POD) }),
  ];
  assert.match(await one.exec("ps"), /sleep 888/);
  await two.stop();
  await until(async () => !(await one.exec("ps")).includes("sleep 777"));
  await one.stop();
  const last = await shared.run("last", SLEEP, { linux: mode(OF_THE_POD) });
  assert.match(await last.exec("ps"), /^ +1 /m, "the pod's own process is there, whoever has gone");
  const own = await shared.run("own", SLEEP, { linux: mode(OF_THE_CONTAINER) });
  assert.doesNotMatch(await own.exec("ps"), /\/pause|sleep 1000000 *\n.*sleep 1000000/);
});
