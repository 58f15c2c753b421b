/**
 * Containers in VMs under Docker with its bridge network, which puts the interface into a network namespace that exists:
 * the releases up to 25 by a prestart hook, the later ones between Create and Start (B49). Needs root, docker.io and
 * dist/guest; a newer Docker where `scripts/test` has unpacked one.
 */
import assert from "node:assert/strict";
import { errorChain } from "../../src/base/error.ts";
import { Containerd } from "./containerd.ts";
import { Docker, dockerReleases, GATEWAY, IMAGE } from "./docker.ts";
import { networkSteps } from "./docker_networks.ts";
import { must, onTerminal, run } from "./runk.ts";
import { until } from "../support/wait.ts";
import { bootId } from "./host.ts";

const PORT = 8080;

async function steps(docker: Docker, containerd: Containerd, test: Deno.TestContext): Promise<void> {
  await test.step("B49: the network that Docker attaches late is the container's", async () => {
    const serve = `mkdir /www; echo from $HOSTNAME >/www/index.html; exec httpd -f -p ${PORT} -h /www`;
    const id = (await must(
      docker.run("--detach", "--name", "web", "--hostname", "web", "--shm-size", "32m", IMAGE, "sh", "-c", serve),
    ))
      .trim();
    containerd.adopt(id);
    const format = "{{.NetworkSettings.Networks.bridge.IPAddress}}";
    const address = (await must(docker.words("inspect", "--format", format, "web"))).trim();
    const fetched = async () =>
      await (await fetch(`http://${address}:${PORT}/`, { signal: AbortSignal.timeout(5_000) })).text();
    await until(async () => (await fetched().catch(() => "")) === "from web\n");
    const exec = await must(docker.words("exec", "web", "sh", "-c", "ip -4 -o address show dev eth0; ip route"));
    assert.match(exec, new RegExp(`inet ${RegExp.escape(address)}/24`));
    assert.match(exec, new RegExp(`default via ${RegExp.escape(GATEWAY)}`));
  });
  await test.step("the kernel is another one, and B16: --shm-size is honoured", async () => {
    const boot = await must(docker.words("exec", "web", "cat", "/proc/sys/kernel/random/boot_id"));
    assert.notEqual(boot.trim(), bootId());
    assert.match(await must(docker.words("exec", "web", "df", "-m", "/dev/shm")), /^shm +32 /m);
  });
  await test.step("exec, a terminal, logs, stats, and the end by SIGTERM (B1)", async () => {
    assert.equal((await run(docker.words("exec", "web", "sh", "-c", "exit 5"))).status, 5);
    // Docker sets the size after the start, and a fresh terminal has none.
    const size = "until stty size 2>&1 | grep 97; do sleep 0.1; done";
    assert.match((await onTerminal(docker.words("exec", "-it", "web", "sh", "-c", size))).stdout, /31 97/);
    const usage = await must(docker.words("stats", "--no-stream", "--format", "{{.MemUsage}}, {{.NetIO}}", "web"));
    assert.match(usage, /^\d+(\.\d+)?[KM]iB .*, [\d.]+k?B \/ [\d.]+k?B$/m);
    await must(docker.words("kill", "--signal", "TERM", "web"));
    assert.equal((await must(docker.words("wait", "web"))).trim(), "143");
    await must(docker.words("start", "web"));
    assert.match(await must(docker.words("exec", "web", "cat", "/www/index.html")), /from web/);
    await must(docker.words("rm", "--force", "web"));
  });
}

/** Rows in which Docker's containers once were otherwise than under runc. */
async function rows(docker: Docker, containerd: Containerd, test: Deno.TestContext): Promise<void> {
  const start = async (name: string, ...words: readonly string[]) => {
    const id = await must(docker.run("--detach", "--name", name, ...words, IMAGE, "sleep", "1000000"));
    containerd.adopt(id.trim());
  };
  await test.step("pods A8: a limit of processes holds inside, and changes", async () => {
    await start("few", "--pids-limit", "20");
    const limit = async () => (await must(docker.words("exec", "few", "cat", "/sys/fs/cgroup/pids.max"))).trim();
    assert.equal(await limit(), "20");
    const bomb = "for i in $(seq 30); do sleep 100 & done; wait";
    assert.match((await run(docker.words("exec", "few", "sh", "-c", bomb))).stderr, /can't fork/);
    await must(docker.words("update", "--pids-limit", "30", "few"));
    assert.equal(await limit(), "30");
  });
  await test.step("pods B7, pods B8: the host's network and that of another container are refused; the other one goes on", async () => {
    const refused = async (network: string, why: RegExp) => {
      const { status, stderr } = await run(docker.run("--rm", "--network", network, IMAGE, "true"));
      assert.notEqual(status, 0);
      assert.match(stderr, why);
    };
    await refused("host", /in the host's network: a virtual machine has a network of its own/);
    await refused("container:few", /process \d+ \("[^"]+"\) is in this network/);
    assert.match(await must(docker.words("exec", "few", "ip", "-4", "-o", "address")), /eth0/);
    await must(docker.words("rm", "--force", "few"));
  });
  await test.step("pods A9: a container that ran out of memory says so", async () => {
    const hog = ["dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"];
    const run = docker.run("--detach", "--name", "hog", "--memory", "64m", "--memory-swap", "64m", IMAGE, ...hog);
    containerd.adopt((await must(run)).trim());
    assert.equal((await must(docker.words("wait", "hog"))).trim(), "137");
    await until(async () =>
      (await must(docker.words("inspect", "--format", "{{.State.OOMKilled}}", "hog"))).trim() === "true"
    );
    await must(docker.words("rm", "--force", "hog"));
  });
}

for (const release of dockerReleases()) {
  Deno.test({
    name: `docker ${release.version}: containers in VMs with Docker's network`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(test) {
      try {
        await using containerd = await Containerd.start({ release: release.containerd! });
        if (release.runtime === "runc") {
          await Deno.symlink("containerd-shim-kata-v2", `${containerd.directory}/bin/containerd-shim-runc-v2`);
        }
        {
          await using docker = await Docker.start(release, containerd);
          await steps(docker, containerd, test);
          await rows(docker, containerd, test);
          await networkSteps(docker, containerd, test);
        }
        const clean = async () => (await containerd.remains()).length === 0;
        await until(clean).catch(async () => assert.deepEqual(await containerd.remains(), []));
      } catch (error) {
        throw new Error(errorChain(error), { cause: error });
      }
    },
  });
}
