/**
 * Containers through containerd's ctr in what they once did otherwise than under runc, which does it beside. Needs root,
 * containerd, runc, QEMU and dist/guest.
 */
import assert from "node:assert/strict";
import { errorChain } from "../../src/base/error.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { Containerd, releases, RUNTIME } from "./containerd.ts";
import { IMAGE } from "./image.ts";
import { isInstalled, RUNC } from "./runk.ts";
import { until } from "../support/wait.ts";

const MISSING = releases().length === 0 ? "containerd is not installed" : !isInstalled(RUNC) && "runc is not installed";
/** A client that waits for ever fails its test. */
const PATIENCE = ["timeout", "60"];
const HUNG = 124;

function besideRunc(name: string, body: (containerd: Containerd, runtime: string) => Promise<void>): void {
  for (const release of releases()) {
    for (const runtime of ["io.containerd.runc.v2", RUNTIME]) {
      const title = `containerd ${release.version}, ${runtime}: ${name}`;
      const options = { ignore: leftOut({ name: title }, MISSING), sanitizeResources: false };
      Deno.test(title, options, async () => {
        try {
          await using containerd = await Containerd.start({ release });
          await body(containerd, runtime);
        } catch (error) {
          throw new Error(errorChain(error), { cause: error });
        }
      });
    }
  }
}

async function inContainer(
  { containerd, runtime }: { containerd: Containerd; runtime: string },
  body: (id: string) => Promise<void>,
): Promise<void> {
  const id = containerd.id("one");
  await containerd.must("run", "-d", "--runtime", runtime, IMAGE, id, "sleep", "1000000");
  try {
    await body(id);
  } finally {
    await containerd.remove(id);
  }
}

besideRunc("pods B6: an exec of what is not there fails at once, and again", async (containerd, runtime) => {
  await inContainer({ containerd, runtime }, async (id) => {
    for (const number of [1, 2]) {
      const line = containerd.commandLine(`task exec --exec-id e${number} ${id} /no/such`).split(" ");
      const { status, stderr } = await containerd.run([...PATIENCE, ...line]);
      assert.ok(status !== 0 && status !== HUNG, `${status} ${stderr}`);
      assert.match(stderr, /no such file or directory|not found/i);
    }
  });
});

besideRunc(
  "pods A17: a container whose ids are mapped owns its files, and its root is none of the machine's",
  async (containerd, runtime) => {
    // Who is mapped has to come to the files.
    await Deno.chmod(containerd.directory, 0o711);
    const maps = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];
    const script =
      "cat /proc/self/uid_map; touch /file; stat -c '%u %g' / /file; ls /sys/class/net /dev/mqueue; hostname other";
    const command = ["sh", "-c", script];
    const { stdout, stderr } = await containerd.ctr(
      ...["run", "--rm", "--runtime", runtime, ...maps, IMAGE, containerd.id("mapped"), ...command],
    );
    assert.match(stdout, /^ *0 +100000 +65536\n0 0\n0 0\n/, stderr);
    assert.match(stdout, /^lo$/m);
    assert.match(stderr, /Operation not permitted/);
  },
);

besideRunc("pods A6: an exec ends with its process, whose input has more", async (containerd, runtime) => {
  await inContainer({ containerd, runtime }, async (id) => {
    const exec = containerd.commandLine(`task exec --exec-id e1 ${id} sh -c`);
    const line = `head -c 2000000 /dev/zero | ${PATIENCE.join(" ")} ${exec} 'head -c 5 >/dev/null; exit 3'`;
    assert.equal((await containerd.run(["sh", "-c", line])).status, 3);
  });
});

besideRunc("pods A9: the engine hears that a container has run out of memory", async (containerd, runtime) => {
  const events = containerd.spawnCtr(["events"]);
  let heard = "";
  const hearing = (async () => {
    for await (const part of events.stdout.pipeThrough(new TextDecoderStream())) heard += part;
  })();
  try {
    const hog = ["dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"];
    const id = containerd.id("hog");
    const flags = ["--rm", "--runtime", runtime, "--memory-limit", String(64 << 20)];
    const { status, stderr } = await containerd.ctr("run", ...flags, IMAGE, id, ...hog);
    assert.equal(status, 137, stderr);
    await until(() => new RegExp(`/tasks/oom .*${id}`).test(heard));
  } finally {
    events.kill("SIGKILL");
    await Promise.all([events.status, events.stdin.close(), events.stderr.cancel(), hearing]);
  }
});

Deno.test({
  name: "containerd: pods B7, pods B8: networks that a virtual machine cannot have are refused by name",
  ignore: leftOut(import.meta, MISSING),
  sanitizeResources: false,
  async fn() {
    await using containerd = await Containerd.start({ release: releases()[0]! });
    const host = await containerd.runContainer("host", ["true"], ["--net-host"]);
    assert.equal(host.status, 1);
    assert.match(
      host.stderr,
      /Cannot run sandbox "\S+" in the host's network: a virtual machine has a network of its own/,
    );
    const other = new Deno.Command("unshare", { args: ["--net", "sleep", "1000"], stdin: "null" }).spawn();
    const path = `/proc/${other.pid}/ns/net`;
    const shared = await containerd.runContainer("shared", ["true"], ["--with-ns", `network:${path}`]);
    other.kill("SIGKILL");
    await other.status;
    assert.equal(shared.status, 1);
    assert.match(shared.stderr, new RegExp(`in "${path}": process ${other.pid} \\("sleep"\\) is in this network`));
  },
});
