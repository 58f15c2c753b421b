/** A user of Kubernetes who may set annotations, against the host and against other people's pods. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { type PodNode, pods, SLEEP } from "../interop/pod.ts";
import { makeVictim, Witness } from "./witness.ts";

const CONFIG_PATH = "io.katacontainers.config_path";

/** A file as a user gets one onto a node, by a ConfigMap, that names a program of the user's; `ran` appears if it runs. */
async function writePlanted(node: PodNode): Promise<{ configuration: string; ran: string }> {
  const directory = `${node.containerd.directory}/volumes`;
  await Deno.mkdir(directory, { recursive: true });
  const [tool, ran, configuration] = ["tool", "ran", "configuration.toml"].map((name) => `${directory}/${name}`);
  await Deno.writeTextFile(tool!, `#!/bin/sh\nid >>${ran}\nexit 1\n`, { mode: 0o777 });
  const own = await Deno.readTextFile(`${node.containerd.directory}/configuration.toml`);
  await Deno.writeTextFile(configuration!, `${own}path = "${tool}"\nvirtio_fs_daemon = "${tool}"\n`, { mode: 0o666 });
  await Deno.chmod(directory, 0o777);
  return { configuration: configuration!, ran: ran! };
}

pods("F3: no annotation makes the host run a program, or tells what is in its files", async (node) => {
  const { configuration, ran } = await writePlanted(node);
  using victim = makeVictim();
  const witness = new Witness(victim.path);
  for (
    const path of [configuration, `${victim.path}/secret`, "/etc/shadow", "/no/such", "/dev/zero", "/proc/self/environ"]
  ) {
    await assert.rejects(node.pod("pod", { annotations: { [CONFIG_PATH]: path } }), (error: Error) => {
      assert.match(error.message, /config_path|configuration/, path);
      assert.doesNotMatch(error.message, /SECRET|root:|illegal|:\d+:\d+/, path);
      return true;
    });
  }
  assert.ok(!exists(ran), "the user's program ran");
  assert.deepEqual(witness.treeChanges(), []);
});

pods("F5: a pod whose annotations say that it is in another one does not get there", async (node) => {
  await using victim = await node.pod("victim");
  const inVictim = await victim.run("one", `echo THE-SECRET >/dev/shm/secret; ${SLEEP}`);
  const annotations = {
    "io.kubernetes.cri-o.ContainerType": "container",
    "io.kubernetes.cri-o.SandboxID": victim.id,
  };
  await assert.rejects(node.pod("attacker", { annotations }), /annotation/);
  assert.equal(await inVictim.exec("hostname; cat /dev/shm/secret"), "victim\nTHE-SECRET\n");
}, { podAnnotations: ["*"] });
