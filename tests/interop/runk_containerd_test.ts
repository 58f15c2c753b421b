/** runk under containerd's own shim for runc, as `ctr run --runc-binary` has it. Needs root and containerd. */
import assert from "node:assert/strict";
import { Containerd, releases } from "./containerd.ts";
import { IMAGE } from "./image.ts";
import { onTerminal, RUNK } from "./runk.ts";
import { until } from "../support/wait.ts";

const BINARY = ["--runc-binary", RUNK];

function containerdTest(name: string, body: (containerd: Containerd) => Promise<void>): void {
  for (const release of releases()) {
    Deno.test({
      name: `runk under containerd ${release.version}: ${name}`,
      sanitizeResources: false,
      async fn() {
        await using containerd = await Containerd.start({ release });
        await body(containerd);
      },
    });
  }
}

containerdTest("ctr run shows output and passes the exit status on", async (containerd) => {
  const id = containerd.id("run");
  const { status, stdout, stderr } = await containerd.ctr(
    "run",
    "--rm",
    ...BINARY,
    IMAGE,
    id,
    "sh",
    "-c",
    "id -u; exit 3",
  );
  assert.deepEqual([status, stdout], [3, "0\n"], stderr);
});

containerdTest("ctr run -t gives a terminal of the caller's size", async (containerd) => {
  const ctr = containerd.commandLine("run --rm -t").split(" ");
  // ctr tells the size only when the process runs already.
  const words = [
    ...ctr,
    ...BINARY,
    IMAGE,
    containerd.id("tty"),
    "sh",
    "-c",
    "until stty size 2>/dev/null | grep .; do sleep 0.1; done",
  ];
  const { stdout } = await onTerminal(words);
  assert.match(stdout, /31 97/);
});

containerdTest("exec, pause, resume, metrics, ps, kill and delete work on a running container", async (containerd) => {
  const id = containerd.id("bg");
  const script = "trap 'exit 143' TERM; while :; do sleep 0.1; done";
  const limits = ["--memory-limit", `${64 << 20}`, "--pid-file", `${containerd.directory}/pid`];
  await containerd.must("run", "--detach", ...limits, ...BINARY, IMAGE, id, "sh", "-c", script);
  try {
    for (const status of [0, 5]) {
      const exec = await containerd.ctr("task", "exec", "--exec-id", `e${status}`, id, "sh", "-c", `exit ${status}`);
      assert.equal(exec.status, status, exec.stderr);
    }
    const words = containerd.commandLine(`task exec -t --exec-id tty ${id} tty`).split(" ");
    assert.match((await onTerminal(words)).stdout, /\/dev\/pts\/\d/);
    await containerd.must("task", "pause", id);
    assert.equal(await containerd.taskStatus(id), "PAUSED");
    await containerd.must("task", "resume", id);
    assert.equal(await containerd.taskStatus(id), "RUNNING");
    assert.match(await containerd.must("task", "metrics", id), /memory/);
    assert.match(await containerd.must("task", "ps", id), /PID/);
    await containerd.must("task", "kill", "--signal", "TERM", id);
    await until(async () => (await containerd.taskStatus(id)) === "STOPPED");
  } finally {
    await containerd.remove(id);
  }
  assert.deepEqual(await containerd.remains(), []);
});
