/** runk under Debian's Podman, as `podman --runtime` has it. Needs root, podman and conmon. */
import assert from "node:assert/strict";
import { IMAGE, writeImage } from "./image.ts";
import { isInstalled, must, onTerminal, removeCgroup, run, RUNK } from "./runk.ts";

/** Without CAP_SYS_RESOURCE, which build machines lack, limits cannot be raised to Podman's defaults. */
const CREATE_FLAGS = ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];

/** Podman with a storage of its own, and the test image in it. */
class Podman implements AsyncDisposable {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(): Promise<Podman> {
    const directory = await Deno.makeTempDir({ prefix: "runk-podman-" });
    const podman = new Podman(directory);
    await writeImage(`${directory}/image.tar`);
    await must(podman.words("load", "--input", `${directory}/image.tar`));
    return podman;
  }

  words(...args: readonly string[]): string[] {
    const at = this.#directory;
    const places = ["--root", `${at}/root`, "--runroot", `${at}/runroot`, "--tmpdir", `${at}/tmp`];
    const choices = ["--cgroup-manager=cgroupfs", "--events-backend=file", "--storage-driver=vfs"];
    return ["podman", ...places, ...choices, "--runtime", RUNK, ...args];
  }

  create(verb: "run" | "create", ...args: readonly string[]): string[] {
    return this.words(verb, ...CREATE_FLAGS, ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(this.words("rm", "--all", "--force", "--time", "0"));
    await run(["umount", "--lazy", `${this.#directory}/root/vfs`]);
    await removeCgroup("libpod_parent");
    await must(["rm", "-rf", this.#directory]);
  }
}

function podmanTest(name: string, body: (podman: Podman) => Promise<void>): void {
  Deno.test({
    name: `podman: ${name}`,
    ignore: !isInstalled("/usr/bin/podman"),
    async fn() {
      await using podman = await Podman.open();
      await body(podman);
    },
  });
}

podmanTest("run shows output and passes the exit status on", async (podman) => {
  const { status, stdout, stderr } = await run(podman.create("run", "--rm", IMAGE, "sh", "-c", "id -u; exit 3"));
  assert.deepEqual([status, stdout], [3, "0\n"], stderr);
});

podmanTest("exec, logs, pause, top, stop and rm work on a running container", async (podman) => {
  const script = "trap 'exit 4' TERM; echo started; while :; do sleep 0.1; done";
  await must(podman.create("run", "--detach", "--name", "c1", IMAGE, "sh", "-c", script));
  for (const status of [0, 5, 255]) {
    const exec = await run(podman.words("exec", "c1", "sh", "-c", `echo inside; exit ${status}`));
    assert.deepEqual([exec.status, exec.stdout], [status, "inside\n"], exec.stderr);
  }
  assert.equal(await must(podman.words("logs", "c1")), "started\n");
  await must(podman.words("pause", "c1"));
  assert.equal(await must(podman.words("inspect", "--format", "{{.State.Status}}", "c1")), "paused\n");
  await must(podman.words("unpause", "c1"));
  assert.match(await must(podman.words("top", "c1")), /sleep 0.1/);
  await must(podman.words("stop", "--time", "10", "c1"));
  assert.equal(await must(podman.words("inspect", "--format", "{{.State.ExitCode}}", "c1")), "4\n");
  await must(podman.words("rm", "c1"));
});

// Each waits for a line before it ends: Podman loses the last output of a container that ends at once, with runc too.
podmanTest("run -it and exec -it give a terminal", async (podman) => {
  const answer = { to: /\/dev\/pts\/\d/, text: "\n" };
  const attached = await onTerminal(
    podman.create("run", "--rm", "-it", IMAGE, "sh", "-c", "tty; read line; exit 6"),
    answer,
  );
  assert.match(attached.stdout, /\/dev\/pts\/0/);
  assert.equal(attached.status, 6);
  await must(podman.create("run", "--detach", "--name", "c1", IMAGE, "sleep", "100"));
  const exec = await onTerminal(podman.words("exec", "-it", "c1", "sh", "-c", "tty; read line"), answer);
  assert.match(exec.stdout, /\/dev\/pts\/\d/);
});

podmanTest("limits, a read-only root, another user and capabilities are as asked", async (podman) => {
  const limits = ["--memory", "64m", "--pids-limit", "50", "--cpus", "0.5"];
  const script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes; touch /x; id -u; grep CapEff /proc/self/status";
  const flags = ["--rm", "--read-only", "--user", "1000", "--cap-drop", "all", ...limits];
  const { stdout, stderr } = await run(podman.create("run", ...flags, IMAGE, "sh", "-c", script));
  assert.match(stdout, new RegExp(`(^${64 << 20}\n)?1000\nCapEff:\\s+0000000000000000\n$`));
  assert.match(stderr, /Read-only file system/);
});

podmanTest("--tmpfs starts with what the image holds there", async (podman) => {
  const words = (...flags: readonly string[]) =>
    podman.create("run", "--rm", ...flags, IMAGE, "/bin/sh", "-c", "echo /bin/*; echo >/bin/new");
  const image = await must(words());
  assert.match(image, /bin\/sh/);
  assert.equal(await must(words("--tmpfs", "/bin")), image);
});
