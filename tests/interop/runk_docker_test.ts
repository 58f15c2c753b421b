/** runk under Debian's Docker, as `docker run --runtime runk` has it. Needs root and docker.io. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { writeLayer } from "./image.ts";
import { isInstalled, must, onTerminal, removeCgroup, run, RUNK, SIGHT } from "./runk.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { until } from "../support/wait.ts";

const IMAGE = "busybox:test";

/** A dockerd of its own, which touches neither the network nor another Docker's data. Disposing it ends it. */
class Docker implements AsyncDisposable {
  readonly #directory: string;
  readonly #daemon: Deno.ChildProcess;

  constructor(directory: string) {
    this.#directory = directory;
    const script = `exec dockerd "$@" >${directory}/log 2>&1`;
    const places = ["--data-root", `${directory}/data`, "--exec-root", `${directory}/exec`];
    const contact = ["--pidfile", `${directory}/pid`, "--host", `unix://${directory}/docker.sock`];
    const network = ["--iptables=false", "--ip6tables=false", "--bridge=none"];
    const runtime = [
      "--add-runtime",
      `runk=${RUNK}`,
      "--storage-driver=vfs",
      "--config-file",
      `${directory}/none.json`,
    ];
    this.#daemon = new Deno.Command("/bin/sh", {
      args: ["-c", script, "sh", ...places, ...contact, ...network, ...runtime],
      // Debian's client and daemon; another Docker may come first in the caller's PATH.
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      stdin: "null",
    }).spawn();
  }

  static async start(): Promise<Docker> {
    const directory = await Deno.makeTempDir({ prefix: "runk-docker-" });
    await Deno.writeTextFile(`${directory}/none.json`, "{}");
    const docker = new Docker(directory);
    await until(async () => (await run(docker.words("version"))).status === 0);
    await writeLayer(`${directory}/layer.tar`);
    await must(docker.words("import", "--change", "ENV PATH=/bin", `${directory}/layer.tar`, IMAGE));
    return docker;
  }

  words(...args: readonly string[]): string[] {
    return ["/usr/bin/docker", "--host", `unix://${this.#directory}/docker.sock`, ...args];
  }

  run(...args: readonly string[]): string[] {
    return this.runUnder("runk", ...args);
  }

  runUnder(runtime: string, ...args: readonly string[]): string[] {
    return this.words("run", "--runtime", runtime, "--network", "none", ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const containers = (await run(this.words("ps", "--all", "--quiet"))).stdout.split("\n").filter((id) => id !== "");
    if (containers.length > 0) await run(this.words("rm", "--force", ...containers));
    this.#daemon.kill("SIGTERM");
    await this.#daemon.status;
    await removeCgroup("docker");
    await must(["rm", "-rf", this.#directory]);
  }
}

function dockerTest(name: string, body: (docker: Docker) => Promise<void>): void {
  Deno.test({
    name: `docker: ${name}`,
    ignore: leftOut(import.meta, !isInstalled("/usr/sbin/dockerd") && "docker.io is not installed"),
    async fn() {
      await using docker = await Docker.start();
      await body(docker);
    },
  });
}

dockerTest("run shows output and passes the exit status on", async (docker) => {
  const { status, stdout, stderr } = await run(docker.run("--rm", IMAGE, "sh", "-c", "id -u; exit 3"));
  assert.deepEqual([status, stdout], [3, "0\n"], stderr);
  const missing = await run(docker.run("--rm", IMAGE, "/no/such"));
  assert.equal(missing.status, 127, missing.stderr);
  assert.match(missing.stderr, /\/no\/such/);
});

dockerTest("exec, logs, pause, top, stats, stop and rm work on a running container", async (docker) => {
  const script = "trap 'exit 4' TERM; echo started; while :; do sleep 0.1; done";
  await must(docker.run("--detach", "--name", "c1", IMAGE, "sh", "-c", script));
  for (const status of [0, 5, 255]) {
    const exec = await run(docker.words("exec", "c1", "sh", "-c", `echo inside; exit ${status}`));
    assert.deepEqual([exec.status, exec.stdout], [status, "inside\n"], exec.stderr);
  }
  assert.equal(await must(docker.words("logs", "c1")), "started\n");
  await must(docker.words("pause", "c1"));
  assert.equal(await must(docker.words("inspect", "--format", "{{.State.Status}}", "c1")), "paused\n");
  await must(docker.words("unpause", "c1"));
  assert.match(await must(docker.words("top", "c1")), /while :/);
  assert.match(await must(docker.words("stats", "--no-stream", "c1")), /MiB|KiB/);
  await must(docker.words("stop", "--time", "10", "c1"));
  assert.equal(await must(docker.words("inspect", "--format", "{{.State.ExitCode}}", "c1")), "4\n");
  await must(docker.words("rm", "c1"));
});

dockerTest("run -it and exec -it give a terminal", async (docker) => {
  const attached = await onTerminal(docker.run("--rm", "-it", IMAGE, "sh", "-c", "tty; exit 6"));
  assert.match(attached.stdout, /\/dev\/pts\/0/);
  assert.equal(attached.status, 6);
  await must(docker.run("--detach", "--name", "c1", IMAGE, "sleep", "100"));
  assert.match((await onTerminal(docker.words("exec", "-it", "c1", "tty"))).stdout, /\/dev\/pts\/\d/);
});

/**
 * Many options at once; the rest of them is Docker's own business. Both limits of open files are one number: runc, being
 * a program in Go, raises the lower one in an exec now and then.
 */
const OPTIONS = {
  strict: [
    ...["--user", "1234:2345", "--group-add", "77", "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE"],
    ...["--security-opt", "no-new-privileges", "--read-only", "--tmpfs", "/t:noexec,size=1m,mode=1770,uid=5"],
    ...["--ulimit", "nofile=200:200", "--sysctl", "net.core.somaxconn=99", "--shm-size", "5m", "--cgroupns", "private"],
    ...["--hostname", "h", "--domainname", "d.example", "--workdir", "/new/dir", "--env", "A=b c"],
    ...["--oom-score-adj", "300", "--device", "/dev/null:/dev/sub/other:r"],
  ],
  loose: [
    ...["--tty", "--cap-add", "SYS_ADMIN", "--user", "1000", "--pid", "host", "--uts", "host", "--ipc", "host"],
    ...["--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"],
    ...["--volume", "/run:/t:ro", "--tmpfs", "/new:exec,suid", "--device", "/dev/null:/dev/ptmx"],
  ],
};

for (const [name, options] of Object.entries(OPTIONS)) {
  dockerTest(`a container with ${name} options sees what it sees under runc, and so does an exec`, async (docker) => {
    const seen = async (runtime: string) => {
      const id = (await must(docker.runUnder(runtime, "--detach", ...options, IMAGE, "sleep", "100"))).trim();
      const execs = [["--user", "5:6"], ["--env", "B=c", "--workdir", "/bin"], ["--tty"]];
      const inits = await must(docker.runUnder(runtime, "--rm", ...options, IMAGE, "sh", "-c", SIGHT));
      const rest = await Promise.all(execs.map((flags) => must(docker.words("exec", ...flags, id, "sh", "-c", SIGHT))));
      await must(docker.words("rm", "--force", id));
      return [inits, ...rest];
    };
    assert.deepEqual(await seen("runk"), await seen("runc"));
  });
}

dockerTest("what cannot be run has the exit status that it has under runc", async (docker) => {
  const statuses = async (runtime: string) => {
    const id = (await must(docker.runUnder(runtime, "--detach", IMAGE, "sleep", "100"))).trim();
    const programs = [["nosuch"], ["/no/such"], ["/etc"], ["/etc/hosts"]];
    const runs = programs.map((words) => docker.runUnder(runtime, "--rm", IMAGE, ...words));
    const execs = [["-w", "/no/such", id, "true"], ...programs.map((words) => [id, ...words])];
    const all = [...runs, ...execs.map((words) => docker.words("exec", ...words))];
    return (await Promise.all(all.map((words) => run(words)))).map(({ status }) => status);
  };
  assert.deepEqual(await statuses("runk"), await statuses("runc"));
});

dockerTest("--memory, --cpus and --pids-limit reach the container's cgroup, also by update", async (docker) => {
  const limits = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "50"];
  const id = (await must(docker.run("--detach", ...limits, IMAGE, "sleep", "100"))).trim();
  assert.deepEqual(limitsOf(id), { memory: `${64 << 20}`, quota: "50000", pids: "50" });
  await must(docker.words("update", "--memory", "96m", "--memory-swap", "192m", "--pids-limit", "60", id));
  assert.deepEqual(limitsOf(id), { memory: `${96 << 20}`, quota: "50000", pids: "60" });
});

/** Limits that the container's cgroup says, on v1 or v2. */
function limitsOf(id: string): { memory: string; quota: string; pids: string } {
  const isV2 = exists("/sys/fs/cgroup/cgroup.controllers");
  const read = (controller: string, file: string) =>
    Deno.readTextFileSync(`/sys/fs/cgroup/${isV2 ? "" : `${controller}/`}docker/${id}/${file}`).trim().split(" ")[0]!;
  return {
    memory: read("memory", isV2 ? "memory.max" : "memory.limit_in_bytes"),
    quota: read("cpu", isV2 ? "cpu.max" : "cpu.cfs_quota_us"),
    pids: read("pids", "pids.max"),
  };
}
