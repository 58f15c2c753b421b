/** Resources of a pod's containers, on the host and in their VM: volumes, limits, statistics, namespaces. See `pod.ts`. */
import assert from "node:assert/strict";
import { processesOf } from "./containerd.ts";
import type { Message } from "./cri.ts";
import { pods, podsOnAll, SLEEP } from "./pod.ts";
import { CGROUP_PARENT } from "./pod_settings.ts";
import { until } from "../support/wait.ts";

const MIB = 2 ** 20;
const PORT = 8080;

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

podsOnAll(
  "B36: a pod's limits size its VM, its containers' limits hold inside and change; all is counted",
  async (node, test) => {
    const resources = { cpu_period: 100_000, cpu_quota: 120_000, memory_limit_in_bytes: 512 * MIB };
    await using pod = await node.pod("pod", { linux: { resources } });
    const limits = { memory_limit_in_bytes: 100 * MIB, cpu_period: 100_000, cpu_quota: 50_000 };
    const container = await pod.run("one", `httpd -p ${PORT} -h /; ${SLEEP}`, { linux: { resources: limits } });
    const read = async (v2: string, v1: string) =>
      (await container.exec(`cd /sys/fs/cgroup; cat ${v2} 2>/dev/null || cat ${v1}`)).trim().split(" ")[0];
    const memory = () => read("memory.max", "memory/memory.limit_in_bytes");
    const quota = () => read("cpu.max", "cpu/cpu.cfs_quota_us");

    await test.step("the VM has the CPUs, its card a pair of queues for each, the container its limits", async () => {
      assert.equal(await container.exec("grep -c ^processor /proc/cpuinfo"), "2\n");
      assert.match(await container.exec("ls /sys/class/net/eth0/queues"), /^rx-0\nrx-1\ntx-0\ntx-1\n$/);
      assert.deepEqual([await memory(), await quota()], [`${100 * MIB}`, "50000"]);
    });
    await test.step("an update changes memory and CPU in the guest, and binds the VM to CPUs of the host", async () => {
      const linux = { memory_limit_in_bytes: 200 * MIB, cpu_period: 100_000, cpu_quota: 30_000, cpuset_cpus: "0" };
      await container.call("UpdateContainerResources", { linux });
      assert.deepEqual([await memory(), await quota()], [`${200 * MIB}`, "30000"]);
      const group = `/sys/fs/cgroup/cpuset${CGROUP_PARENT}/${pod.id}/cpuset.cpus`;
      assert.equal(await Deno.readTextFile(group), "0\n");
    });
    await test.step("statistics of the container, and of the pod with what passed its network", async () => {
      const { stats: own } = await container.call("ContainerStats", {});
      assert.ok(Number(own.memory.working_set_bytes.value) > 0);
      const [address] = await pod.addresses();
      const page = await (await fetch(`http://${address}:${PORT}/bin/busybox`)).bytes();
      const { stats } = await node.cri.call("PodSandboxStats", { pod_sandbox_id: pod.id });
      const { stats: all } = await node.cri.call("ListPodSandboxStats");
      assert.deepEqual(all.map(({ attributes }: Message) => attributes.id), [pod.id]);
      const { cpu, memory, network, containers } = stats.linux;
      assert.ok(Number(cpu.usage_core_nano_seconds.value) > 1e9, "a boot costs more than a second of CPU time");
      assert.ok(Number(memory.usage_bytes.value) > 50 * MIB, "the VM's memory counts");
      assert.ok(
        Number(network.default_interface.tx_bytes.value) > page.length,
        "as the pod sees it, it has sent the page",
      );
      assert.deepEqual(containers.map(({ attributes }: Message) => attributes.id), [container.id]);
    });
    await test.step("containerd's own metrics of the pod's id are of the host's cgroup, those of a container the guest's", async () => {
      const metricsOf = async (id: string) =>
        JSON.parse(await node.containerd.must("task", "metrics", "--format", "json", id));
      const [ofPod, ofContainer] = [await metricsOf(pod.id), await metricsOf(container.id)];
      assert.ok(ofPod.memory.usage.usage > 50 * MIB);
      assert.ok(ofContainer.memory.usage.usage < 50 * MIB);
      assert.equal(ofContainer.memory.usage.limit, 200 * MIB);
      for (const metrics of [ofPod, ofContainer]) {
        assert.ok(metrics.network[0].tx_bytes > MIB, JSON.stringify(metrics.network));
      }
    });
  },
);

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
  // No CPU is waited for here: the memory has to be.
  const between = await memory();
  await pod.run("more", SLEEP, { linux: { resources: { memory_limit_in_bytes: 256 * MIB } } });
  assert.ok(await memory() > between + 200, `${between} MiB became ${await memory()} MiB`);
  // Nine blocks, which the kernel finds one after the other (kubernetes K2).
  const large = await memory();
  await pod.run("large", SLEEP, { linux: { resources: { memory_limit_in_bytes: 1152 * MIB } } });
  assert.ok(await memory() > large + 1152 - 64, `${large} MiB became ${await memory()} MiB`);
  assert.equal(await first.exec("cat /sys/devices/system/memory/memory*/state | sort -u"), "online\n");
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
