/** Containers in VMs in networks of the user's own, which come and go while they run. @module */
import assert from "node:assert/strict";
import { until } from "../support/wait.ts";
import type { Containerd } from "./containerd.ts";
import { type Docker, IMAGE, NUMBER } from "./docker.ts";
import { must, run } from "./runk.ts";

const NETWORKS = ["a", "b", "c"] as const;

/** Third number of the addresses of a network. */
function numberOf(network: typeof NETWORKS[number]): string {
  return `10.19${1 + NETWORKS.indexOf(network)}.${NUMBER}`;
}

/** Steps in one pair of containers. The networks are gone afterwards. */
export async function networkSteps(docker: Docker, containerd: Containerd, test: Deno.TestContext): Promise<void> {
  for (const network of NETWORKS) {
    await must(docker.words("network", "create", "--subnet", `${numberOf(network)}.0/24`, `kata-${network}`));
  }
  const start = async (name: string, ...words: readonly string[]) => {
    const id = await must(docker.run("--detach", "--name", name, ...words, IMAGE, "sleep", "1000000"));
    containerd.adopt(id.trim());
  };
  const inside = (...command: readonly string[]) => run(docker.words("exec", "cli", ...command));
  const addresses = async () => (await inside("ip", "-4", "-o", "address")).stdout;
  const reaches = async (network: typeof NETWORKS[number]) =>
    (await inside("ping", "-c", "1", "-W", "2", `${numberOf(network)}.1`)).status === 0;

  // On Docker's own bridge, which has no names, until it is connected.
  await start("srv");
  await must(docker.words("network", "connect", "--alias", "other", "kata-a", "srv"));
  const create = docker.run("--name", "cli", "--network", "kata-a", IMAGE, "sleep", "1000000");
  containerd.adopt((await must(create.map((word) => word === "run" ? "create" : word))).trim());
  await must(docker.words("network", "connect", "kata-b", "cli"));
  await must(docker.words("start", "cli"));
  await test.step("pods A11: two networks of a container's start are both there", async () => {
    assert.deepEqual([await reaches("a"), await reaches("b")], [true, true]);
  });
  await test.step("pods A10: Docker's server at 127.0.0.11 answers inside, also once a network with names has come late", async () => {
    const format = '{{(index .NetworkSettings.Networks "kata-a").IPAddress}}';
    for (const [who, whom] of [["cli", "srv"], ["cli", "other"], ["srv", "cli"]] as const) {
      const target = whom === "other" ? "srv" : whom;
      const address = (await must(docker.words("inspect", "--format", format, target))).trim();
      const looked = () => run(docker.words("exec", who, "nslookup", whom));
      await until(async () => (await looked()).stdout.includes(address));
      assert.match((await looked()).stdout, /127\.0\.0\.11/);
    }
    assert.equal((await inside("ping", "-c", "1", "-W", "2", "srv")).status, 0);
  });
  await test.step("pods A11: a network that a running container is connected to is its own, with all that changes", async () => {
    await must(docker.words("network", "connect", "kata-c", "cli"));
    await until(async () => (await addresses()).includes(`${numberOf("c")}.`));
    await until(() => reaches("c"));
    assert.ok(await reaches("a"));
  });
  await test.step("pods A11: a network that it is disconnected from is gone, and comes again", async () => {
    await must(docker.words("network", "disconnect", "kata-b", "cli"));
    await until(async () => !(await addresses()).includes(`${numberOf("b")}.`));
    assert.ok(await reaches("c"));
    await must(docker.words("network", "connect", "kata-b", "cli"));
    await until(() => reaches("b"));
    await must(docker.words("network", "disconnect", "kata-a", "cli"));
    await until(async () => !(await addresses()).includes(`${numberOf("a")}.`));
    await until(async () => (await inside("ip", "route")).stdout.includes("default via"));
    await must(docker.words("network", "connect", "kata-a", "cli"));
    await until(() => reaches("a"));
  });
  await must(docker.words("rm", "--force", "cli", "srv"));
  await must(docker.words("network", "rm", ...NETWORKS.map((network) => `kata-${network}`)));
}
