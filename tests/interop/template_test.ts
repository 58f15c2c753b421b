/** Warm starts through containerd: `kata-runtime factory`, and sandboxes that start from what it made (B41). */
import assert from "node:assert/strict";
import { Containerd, processesOf, releases } from "./containerd.ts";
import { pods, SLEEP } from "./pod.ts";
import { CGROUP_PARENT, GATEWAY } from "./pod_settings.ts";
import { Templates } from "./template.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { until } from "../support/wait.ts";

const MISSING = releases().length === 0 && "containerd is not installed";
const STARTED = /"Started from a template"/g;

/** How many sandboxes have started from a template, as their shims say. */
function warmStarts(containerd: Containerd): number {
  return [...containerd.log().matchAll(STARTED)].length;
}

Deno.test({
  name: "B41: containers start from a template and are as after a boot, until factory destroy",
  ignore: leftOut(import.meta, MISSING),
  sanitizeResources: false,
  async fn(t) {
    await using templates = new Templates();
    await using containerd = await Containerd.start({ release: releases()[0]!, configure: templates.configure });
    const home = containerd.directory;

    await t.step("factory init makes the template once, and status tells about it", async () => {
      assert.match((await templates.factory(home, "status")).stdout, /There is none; "kata-runtime factory init"/);
      assert.match(await templates.make(home), /^Made it in \d+\.\d s: template [0-9a-f]{32}, 1 vCPU, 512 MiB, made /);
      assert.match(await templates.make(home), /^It was there already: template [0-9a-f]{32}/);
      assert.match((await templates.factory(home, "status")).stdout, /MiB on disk\n {4}fits the configuration\n$/);
    });

    await t.step("two at once have their own randomness and boot id, and no name of the template", async () => {
      const script = "cat /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | md5sum; hostname";
      const runs = await Promise.all(["a", "b"].map((name) => containerd.runContainer(name, ["sh", "-c", script])));
      for (const { status, stderr } of runs) assert.equal(status, 0, stderr);
      const [one, other] = runs.map(({ stdout }) => stdout.trim().split("\n")) as [string[], string[]];
      assert.notEqual(one[0], other[0]);
      assert.notEqual(one[1], other[1]);
      assert.doesNotMatch(one[2]!, /template/);
      assert.equal(warmStarts(containerd), 2);
    });

    await t.step("input arrives unchanged, the clock is right, and exec, pause and resume work", async () => {
      const input = `${home}/input`;
      await containerd.run(["sh", "-c", `head -c 10485760 /dev/urandom >${input}`]);
      const { stdout: expected } = await containerd.run(["sh", "-c", `md5sum <${input}`]);
      await using container = await containerd.background(["sleep", "1000"]);
      const exec = (id: string, script: string) =>
        containerd.ctr("task", "exec", "--exec-id", id, container.id, "sh", "-c", script);
      const line = containerd.commandLine(`task exec --exec-id e1 ${container.id} md5sum`);
      const { status, stdout, stderr } = await containerd.run(["sh", "-c", `${line} <${input}`]);
      assert.deepEqual({ status, stdout }, { status: 0, stdout: expected }, stderr);
      const before = Date.now() / 1000;
      const guest = Number((await exec("e2", "date +%s")).stdout);
      // The template has stood still for as long as the steps before took.
      assert.ok(guest > before - 2 && guest < Date.now() / 1000 + 2, `${guest} where it was ${before}`);
      await containerd.must("task", "pause", container.id);
      await containerd.must("task", "resume", container.id);
      assert.equal((await exec("e3", "exit 3")).status, 3);
      assert.match(await containerd.must("task", "metrics", container.id), /memory/);
    });

    await t.step("kill -9 of QEMU is seen within 5 s", async () => {
      await using container = await containerd.background(["sleep", "1000"]);
      const [pid] = processesOf("qemu-system", container.id);
      Deno.kill(pid!, "SIGKILL");
      await until(async () => (await containerd.taskStatus(container.id) ?? "STOPPED") === "STOPPED", { ms: 5000 });
    });
    assert.equal(warmStarts(containerd), 4);

    await t.step("after factory destroy a container boots, and the log says why", async () => {
      assert.match((await templates.factory(home, "destroy")).stdout, /^Removed [0-9a-f]{32} from /);
      assert.match((await templates.factory(home, "destroy")).stdout, /^There was none in /);
      const { status, stdout, stderr } = await containerd.runContainer("cold", ["echo", "up"]);
      assert.deepEqual({ status, stdout }, { status: 0, stdout: "up\n" }, stderr);
      assert.equal(warmStarts(containerd), 4);
      assert.match(containerd.log(), /"Booting instead of starting from a template".*there is none in /);
    });
    await until(async () => (await containerd.remains()).length === 0);
  },
});

const podTemplates = new Templates();
globalThis.addEventListener("unload", () => Deno.removeSync(podTemplates.directory, { recursive: true }));

/** A template fits each of these pods, as they all start with the same size. */
function growing(toml: string): string {
  const more = "default_maxvcpus = 2\n[runtime]\nstatic_sandbox_resource_mgmt = false\n";
  return podTemplates.configure(toml + more);
}

pods("B41: a pod starts from a template, with its network and its cgroup, and grows", async (node) => {
  await podTemplates.make(node.containerd.directory);
  await using pod = await node.pod("warm");
  const first = await pod.run("first", SLEEP);
  assert.equal(await first.exec("hostname"), "warm\n");
  await first.exec(`ping -c 1 -W 5 ${GATEWAY.inet}`);
  const [address = ""] = await pod.addresses();
  assert.match(await first.exec("ip -4 address show dev eth0"), new RegExp(RegExp.escape(address)));
  for (const program of ["qemu-system", "virtiofsd"]) {
    const [pid] = processesOf(program, pod.id);
    const groups = Deno.readTextFileSync(`/proc/${pid}/cgroup`);
    assert.match(groups, new RegExp(`(:memory:|^0::)${CGROUP_PARENT}/${pod.id}$`, "m"));
  }
  const memory = async () => Number((await first.exec("grep MemTotal /proc/meminfo")).replace(/\D/g, "")) / 1024;
  const before = await memory();
  const limits = { memory_limit_in_bytes: 256 << 20, cpu_period: 100_000, cpu_quota: 100_000 };
  await pod.run("second", SLEEP, { linux: { resources: limits } });
  assert.equal(await first.exec("grep -c ^processor /proc/cpuinfo"), "2\n");
  assert.ok(await memory() > before + 200, `${before} MiB became ${await memory()} MiB`);
  assert.equal(warmStarts(node.containerd), 1);
}, { configure: growing });
