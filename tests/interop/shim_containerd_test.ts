/**
 * Containers in VMs through real containerd, as a user runs them. Needs root, Debian's containerd (and sid's, if it is
 * unpacked), QEMU and dist/guest.
 */
import assert from "node:assert/strict";
import { Containerd, type Release, releases, remains, until } from "./containerd.ts";

const MISSING = releases().length === 0 ? "containerd is not installed" : undefined;

/** One containerd for all steps of a test; whatever they leave behind fails it. */
async function withContainerd(release: Release, body: (containerd: Containerd) => Promise<void>): Promise<void> {
  const before = remains();
  {
    await using containerd = await Containerd.start({ release });
    await body(containerd);
  }
  await until(() => remains() === before, { ms: 5000 }).catch(() => assert.equal(remains(), before));
}

function interop(name: string, body: (containerd: Containerd) => Promise<void>): void {
  for (const release of releases()) {
    Deno.test({
      name: `containerd ${release.version}: ${name}`,
      ignore: MISSING !== undefined,
      // ctr keeps pipes of its own; what matters is in remains().
      sanitizeResources: false,
      fn: () => withContainerd(release, body),
    });
  }
}

interop("ctr run shows output and passes exit statuses on (B1)", async (containerd) => {
  const hello = await containerd.runContainer("hello", ["sh", "-c", "echo out; echo err >&2; uname -r"]);
  assert.equal(hello.status, 0, hello.stderr);
  assert.equal(hello.stderr, "err\n");
  const [out, kernel] = hello.stdout.split("\n");
  assert.equal(out, "out");
  assert.notEqual(kernel, Deno.osRelease(), "the guest's kernel is not the host's");
  assert.equal((await containerd.runContainer("seven", ["sh", "-c", "exit 7"])).status, 7);
});

interop("exec, kill, pause, resume, metrics and ps work on a running container", async (containerd) => {
  await using _container = await containerd.background("c1", ["sh", "-c", "trap 'exit 143' TERM; sleep 1000 & wait"]);
  const exec = ["task", "exec", "--exec-id"];
  const plain = await containerd.ctr(...exec, "e1", "c1", "sh", "-c", "echo in $(hostname); exit 3");
  assert.equal(plain.status, 3, plain.stderr);
  assert.match(plain.stdout, /^in /);
  const line = containerd.commandLine("task exec -t --exec-id e2 c1 tty");
  const terminal = await containerd.run(["script", "-qec", line, "/dev/null"]);
  assert.match(terminal.stdout, /\/dev\/pts\//, terminal.stderr);
  await containerd.must("task", "pause", "c1");
  assert.equal(await containerd.taskStatus("c1"), "PAUSED");
  await containerd.must("task", "resume", "c1");
  assert.equal(await containerd.taskStatus("c1"), "RUNNING");
  assert.match(await containerd.must("task", "metrics", "c1"), /memory/);
  assert.match(await containerd.must("task", "ps", "c1"), /PID/);
  await containerd.must("task", "kill", "-s", "TERM", "c1");
  await until(async () => (await containerd.taskStatus("c1")) === "STOPPED");
});
