/** runk under Debian's Podman, as `podman --runtime` has it. Needs root, podman and conmon. */
import assert from "node:assert/strict";
import { IMAGE, writeImage } from "./image.ts";
import { isInstalled, must, onTerminal, removeCgroup, run, RUNC, RUNK, SIGHT } from "./runk.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";

/** Without CAP_SYS_RESOURCE, which build machines lack, limits cannot be raised to Podman's defaults. */
const CREATE_FLAGS = ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];

/** Podman with a storage of its own, and the test image in it. */
class Podman implements AsyncDisposable {
  readonly #directory: string;
  readonly #runtime: string;

  constructor(directory: string, runtime = RUNK) {
    this.#directory = directory;
    this.#runtime = runtime;
  }

  /** Podman with the same storage and containers, and another runtime for new ones. */
  under(runtime: string): Podman {
    return new Podman(this.#directory, runtime);
  }

  static async open(): Promise<Podman> {
    const directory = await Deno.makeTempDir({ prefix: "runk-podman-" });
    await Deno.chmod(directory, 0o711); // for the users of user namespaces
    const podman = new Podman(directory);
    await writeImage(`${directory}/image.tar`);
    await must(podman.words("load", "--input", `${directory}/image.tar`));
    return podman;
  }

  words(...args: readonly string[]): string[] {
    const at = this.#directory;
    const places = ["--root", `${at}/root`, "--runroot", `${at}/runroot`, "--tmpdir", `${at}/tmp`];
    const choices = ["--cgroup-manager=cgroupfs", "--events-backend=file", "--storage-driver=vfs"];
    return ["podman", ...places, ...choices, "--runtime", this.#runtime, ...args];
  }

  create(verb: "run" | "create", ...args: readonly string[]): string[] {
    return this.words(verb, ...CREATE_FLAGS, ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(this.words("rm", "--all", "--force", "--time", "0"));
    await this.#unmount();
    await removeCgroup("libpod_parent");
    await must(["rm", "-rf", this.#directory]);
  }

  /** Podman mounts its storage on itself, and may leave a container's shared memory. */
  async #unmount(): Promise<void> {
    const mounts = Deno.readTextFileSync("/proc/self/mounts").split("\n").map((line) => line.split(" ")[1] ?? "");
    for (const point of mounts.filter((path) => path.startsWith(this.#directory)).reverse()) {
      await run(["umount", "--lazy", point]);
    }
  }
}

function podmanTest(name: string, body: (podman: Podman) => Promise<void>): void {
  Deno.test({
    name: `podman: ${name}`,
    ignore: leftOut(import.meta, !isInstalled("/usr/bin/podman") && "podman is not installed"),
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

const MAPS = ["--uidmap", "0:100000:5000", "--gidmap", "0:200000:5000"];

/** Many options at once; the rest of them is Podman's own business. */
const OPTIONS = {
  strict: [
    ...["--user", "1234:2345", "--group-add", "77", "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE"],
    ...["--security-opt", "no-new-privileges", "--security-opt", "mask=/proc/uptime", "--read-only", "--umask", "0027"],
    ...["--tmpfs", "/t:noexec,size=1m,mode=1770", "--sysctl", "net.core.somaxconn=99", "--shm-size", "5m"],
    ...["--hostname", "h", "--workdir", "/t", "--env", "A=b c", "--oom-score-adj", "300", "--cgroupns", "private"],
  ],
  mapped: [
    ...MAPS,
    ...["--user", "7:8", "--group-add", "9", "--cap-add", "SYS_ADMIN", "--sysctl", "kernel.shmmax=1000000"],
    ...["--tmpfs", "/t", "--device", "/dev/null:/dev/null", "--hostname", "h"],
  ],
  privileged: [...MAPS, "--privileged", "--tty", "--tmpfs", "/t", "--hostname", "h"],
};

for (const [name, options] of Object.entries(OPTIONS)) {
  podmanTest(`a container with ${name} options sees what it sees under runc, and so does an exec`, async (podman) => {
    const seen = async (runtime: string) => {
      const under = podman.under(runtime);
      const id = (await must(under.create("run", "--detach", ...options, IMAGE, "sleep", "100"))).trim();
      const execs = [[], ["--user", "5:6", "--env", "B=c", "--workdir", "/bin"], ["--privileged"]];
      const shown: string[] = [];
      for (const flags of execs) shown.push(await must(under.words("exec", ...flags, id, "sh", "-c", SIGHT)));
      // Not rm, which now and then comes before Podman's own cleaning and then fails, with runc too.
      await must(under.words("stop", "--time", "0", id));
      // In a user namespace runk takes from devices what they need not, as crun does and runc does not (runk-more C5).
      const level = (text: string) => text.replace(/^(\/dev\/\S+ rw),nosuid,noexec(,relatime)$/gm, "$1$2");
      return shown.map((text) => level(text.replace(/^\/dev\/mqueue.*\n/gm, "")));
    };
    assert.deepEqual(await seen(RUNK), await seen(RUNC));
  });
}

podmanTest("--userns container: joins the ids of another, with namespaces of its own", async (podman) => {
  await must(podman.create("run", "--detach", "--name", "c1", ...MAPS, IMAGE, "sleep", "100"));
  const joined = ["--detach", "--name", "c2", "--userns", "container:c1", "--hostname", "joined"];
  await must(podman.create("run", ...joined, IMAGE, "sleep", "100"));
  const shown = await must(
    podman.words("exec", "c2", "sh", "-c", "cat /proc/1/comm /proc/self/uid_map; hostname; id -u"),
  );
  assert.match(shown, /^sleep\n +0 +100000 +5000\njoined\n0\n$/);
  await must(podman.words("stop", "--time", "0", "c2", "c1"));
});
