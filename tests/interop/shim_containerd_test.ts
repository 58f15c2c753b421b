/**
 * Containers in VMs through real containerd, as a user runs them. Needs root, Debian's containerd (and sid's, if it is
 * unpacked), QEMU and dist/guest.
 */
import assert from "node:assert/strict";
import { errorChain } from "../../src/base/error.ts";
import { Containerd, type ContainerdOptions, processesOf, releases, RUNTIME } from "./containerd.ts";
import { IMAGE } from "./image.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { until } from "../support/wait.ts";
import { bootId } from "./host.ts";

const AS_BUILT = ["-A", "--no-check", "--cached-only", new URL("../../main.ts", import.meta.url).pathname];
const MISSING = releases().length === 0 && "containerd is not installed";

/** One containerd for all steps of a test; whatever they leave behind fails it. */
async function withContainerd(
  options: ContainerdOptions,
  body: (containerd: Containerd) => Promise<void>,
): Promise<void> {
  await using containerd = await Containerd.start(options);
  await body(containerd);
  const clean = async () => (await containerd.remains()).length === 0;
  await until(clean).catch(async () => assert.deepEqual(await containerd.remains(), []));
}

/** With all releases at the same time: each boots its machines, which take one processor most of the time. */
function interop(name: string, body: (containerd: Containerd) => Promise<void>): void {
  Deno.test({
    name: `containerd ${releases().map(({ version }) => version).join(" and ")}: ${name}`,
    ignore: leftOut(import.meta, MISSING),
    // ctr keeps pipes of its own; what matters is in remains().
    sanitizeResources: false,
    async fn() {
      const ends = await Promise.allSettled(releases().map((release) => withContainerd({ release }, body)));
      const errors = ends.flatMap((end, at) =>
        end.status === "rejected" ? [`containerd ${releases()[at]!.version}: ${errorChain(end.reason)}`] : []
      );
      assert.deepEqual(errors, []);
    },
  });
}

interop("ctr run shows output and passes exit statuses on (B1)", async (containerd) => {
  const hello = await containerd.runContainer("hello", [
    "sh",
    "-c",
    "echo out; echo err >&2; cat /proc/sys/kernel/random/boot_id",
  ]);
  assert.equal(hello.status, 0, hello.stderr);
  assert.equal(hello.stderr, "err\n");
  const [out, boot] = hello.stdout.split("\n");
  assert.equal(out, "out");
  // kvm M6: host and guest may run the same kernel.
  assert.notEqual(boot, bootId(), "the guest is not the host");
  assert.equal((await containerd.runContainer("seven", ["sh", "-c", "exit 7"])).status, 7);
});

interop("F17: a container has an id of 76 characters, the most that containerd allows", async (containerd) => {
  const { status, stderr, stdout } = await containerd.runContainer("x".repeat(76 - "-012345".length), ["hostname"]);
  assert.equal(status, 0, stderr);
  assert.notEqual(stdout, "");
  const longer = await containerd.runContainer("x".repeat(77 - "-012345".length), ["true"]);
  assert.match(longer.stderr, /greater than maximum length \(76 characters\)/, "containerd allows more");
});

interop(
  "a disk of the host is a container's device; a privileged container, which gets all unasked, has none",
  async (containerd) => {
    const file = `${containerd.directory}/disk.img`;
    await Deno.writeFile(file, new TextEncoder().encode("first".padEnd(1 << 20)));
    const { stdout: loop, stderr } = await containerd.run(["losetup", "--find", "--show", file]);
    assert.match(loop, /^\/dev\/loop/, stderr);
    const disk = loop.trim();
    try {
      const script = `head -c 5 ${disk}; echo -n 2nd | dd of=${disk} conv=notrunc 2>/dev/null`;
      const used = await containerd.runContainer("disk", ["sh", "-c", script], ["--device", disk]);
      assert.equal(used.stdout, "first", used.stderr);
      assert.match(await Deno.readTextFile(file), /^2ndst /);
      // Its loop devices are the guest's own, and have no file.
      const unasked = `head -c 5 ${disk} 2>/dev/null; ls /dev/null`;
      const all = await containerd.runContainer("all", ["sh", "-c", unasked], ["--privileged"]);
      assert.equal(all.stdout, "/dev/null\n", all.stderr);
    } finally {
      await containerd.run(["losetup", "--detach", disk]);
    }
  },
);

interop("SIGTERM ends a container with status 143 (B1)", async (containerd) => {
  await using container = await containerd.background(["sleep", "1000"]);
  const waiting = containerd.ctr("task", "attach", container.id);
  await containerd.must("task", "kill", "-s", "TERM", container.id);
  assert.equal((await waiting).status, 143);
});

interop("ctr run -t gives the container a terminal of the caller's size", async (containerd) => {
  // ctr sets the size after the start, and a fresh terminal has none.
  const size = "until stty size 2>&1 | grep 97; do sleep 0.1; done";
  const line = `${
    containerd.commandLine(`run --rm -t --runtime ${RUNTIME} ${IMAGE} ${containerd.id("c")} sh -c`)
  } "${size}"`;
  const { stdout } = await containerd.run(["script", "-qec", `stty rows 31 cols 97; ${line}`, "/dev/null"]);
  assert.match(stdout, /31 97/);
});

interop("100 MB of stdin arrive unchanged, and their end ends the reader", async (containerd) => {
  const input = `${containerd.directory}/input`;
  await containerd.run(["sh", "-c", `head -c 104857600 /dev/urandom >${input}`]);
  const { stdout: expected } = await containerd.run(["sh", "-c", `md5sum <${input}`]);
  const line = containerd.commandLine(`run --rm --runtime ${RUNTIME} ${IMAGE} ${containerd.id("c")} md5sum`);
  const { status, stdout, stderr } = await containerd.run(["sh", "-c", `cat ${input} | ${line}`]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, expected);
});

interop("exec, kill, pause, resume, metrics and ps work on a running container", async (containerd) => {
  await using container = await containerd.background(["sh", "-c", "trap 'exit 143' TERM; sleep 1000 & wait"]);
  const exec = ["task", "exec", "--exec-id"];
  const plain = await containerd.ctr(...exec, "e1", container.id, "sh", "-c", "echo in $(hostname); exit 3");
  assert.equal(plain.status, 3, plain.stderr);
  assert.match(plain.stdout, /^in /);
  const line = containerd.commandLine(`task exec -t --exec-id e2 ${container.id} tty`);
  const terminal = await containerd.run(["script", "-qec", line, "/dev/null"]);
  assert.match(terminal.stdout, /\/dev\/pts\//, terminal.stderr);
  await containerd.must("task", "pause", container.id);
  assert.equal(await containerd.taskStatus(container.id), "PAUSED");
  await containerd.must("task", "resume", container.id);
  assert.equal(await containerd.taskStatus(container.id), "RUNNING");
  assert.match(await containerd.must("task", "metrics", container.id), /memory/);
  assert.match(await containerd.must("task", "ps", container.id), /PID/);
  const figures = await containerd.run([Deno.execPath(), "run", ...AS_BUILT, "kata-ctl", "metrics", container.id]);
  for (const family of ["kata_shim_fds", "kata_hypervisor_threads", "kata_agent_threads"]) {
    assert.match(figures.stdout, new RegExp(`^${family} [1-9]`, "m"), figures.stderr);
  }
  assert.match(figures.stdout, /^kata_guest_meminfo\{item="\w+"\} [1-9]/m);
  await containerd.must("task", "kill", "-s", "TERM", container.id);
  await until(async () => (await containerd.taskStatus(container.id)) === "STOPPED");
});

interop("two containers at once run in two machines", async (containerd) => {
  const bootId = ["cat", "/proc/sys/kernel/random/boot_id"];
  const runs = await Promise.all(["c1", "c2"].map((id) => containerd.runContainer(id, bootId)));
  assert.deepEqual(runs.map(({ status }) => status), [0, 0], runs.map(({ stderr }) => stderr).join("\n"));
  assert.notEqual(runs[0]!.stdout, runs[1]!.stdout);
});

interop("a container survives containerd's death and is handled by the next one", async (containerd) => {
  await using container = await containerd.background(["sleep", "1000"]);
  await containerd.restart();
  assert.equal(await containerd.taskStatus(container.id), "RUNNING");
  const exec = await containerd.ctr("task", "exec", "--exec-id", "e1", container.id, "echo", "still here");
  assert.equal(exec.stdout, "still here\n", exec.stderr);
});

for (const victim of ["qemu-system", "virtiofsd", "containerd-shim-kata"]) {
  interop(`kill -9 of ${victim}: containerd sees the exit within 5 s, and nothing is left`, async (containerd) => {
    await using container = await containerd.background(["sleep", "1000"]);
    const [pid] = processesOf(victim, container.id);
    assert.ok(pid !== undefined);
    Deno.kill(pid, "SIGKILL");
    const gone = async () => (await containerd.taskStatus(container.id) ?? "STOPPED") === "STOPPED";
    await until(gone, { ms: 5000 });
    await until(() => ["qemu-system", "virtiofsd"].every((name) => processesOf(name, container.id).length === 0), {
      ms: 5000,
    });
  });
}

Deno.test({
  name: "10 runs leave the machine as it was",
  ignore: leftOut(import.meta, MISSING),
  sanitizeResources: false,
  fn: () =>
    withContainerd({ release: releases()[0]! }, async (containerd) => {
      const before = openDescriptors(containerd.pid);
      // Two at a time: emulated machines are bound by the processor.
      for (let at = 0; at < 10; at += 2) {
        const runs = [at, at + 1].map((id) => containerd.runContainer(`r${id}`, ["echo", `${id}`]));
        const results = await Promise.all(runs);
        assert.deepEqual(results.map(({ stdout }) => stdout), [`${at}\n`, `${at + 1}\n`]);
      }
      await until(() => openDescriptors(containerd.pid) <= before + 2);
    }),
});

const BAD_INPUT: readonly { title: string; configure: (toml: string) => string; flags?: string[]; message: RegExp }[] =
  [
    {
      title: "a missing kernel",
      configure: replace(/kernel = .*/, 'kernel = "/no/vmlinux"'),
      message: /\/no\/vmlinux/,
    },
    { title: "a missing image", configure: replace(/image = .*/, 'image = "/no/image"'), message: /\/no\/image/ },
    {
      title: "a configuration that is no TOML",
      configure: () => "[hypervisor.qemu]\nkernel = = 1\n",
      message: /Cannot parse ".*\/configuration.toml:2:10"/,
    },
    {
      title: "a setting of the wrong type",
      configure: replace(/default_memory = 512/, 'default_memory = "much"'),
      message: /default_memory must be number/,
    },
    {
      title: "a mount whose source is missing",
      configure: (toml) => toml,
      flags: ["--mount", "type=bind,src=/no/source,dst=/x,options=rbind"],
      message: /Cannot mount "\/no\/source" on "\/x": ENOENT/,
    },
    {
      title: "a VMM that dies at once",
      configure: (toml) => `${toml}path = "/bin/false"\n`,
      message: /(\/bin\/false|qemu).*(exit|ended)/i,
    },
    {
      title: "an agent that does not answer in time",
      configure: (toml) => `${toml}[agent.kata]\nreconnect_timeout_ms = 1500\n`,
      message: /Cannot reach the agent: waited 1\.\d s, qemu is alive \(pid \d+\), .*console/,
    },
  ];

for (const { title, configure, flags = [], message } of BAD_INPUT) {
  Deno.test({
    name: `${title} fails in one line that names the cause, and leaves nothing (B46)`,
    ignore: leftOut(import.meta, MISSING),
    sanitizeResources: false,
    fn: () =>
      withContainerd({ release: releases()[0]!, configure }, async (containerd) => {
        const { status, stderr } = await containerd.runContainer("bad", ["true"], flags);
        assert.equal(status, 1);
        assert.match(stderr, message);
        assert.equal(stderr.trim().split("\n").length, 1, stderr);
      }),
  });
}

function replace(pattern: RegExp, line: string): (toml: string) => string {
  return (toml) => toml.replace(pattern, line);
}

function openDescriptors(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}
