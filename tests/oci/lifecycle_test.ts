/** The life of a container as the runtime specification and runc's command line have it. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { Box } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { until } from "../support/wait.ts";

test("create, start, kill, delete walk through the states of the specification", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("trap 'exit 3' TERM; while :; do sleep 0.05; done").spec.annotations = { "com.example.key": "value" };
  box.save();
  await box.ok("create", "--bundle", box.bundle, id);
  const created = await box.state(id);
  assert.equal(created.status, "created");
  assert.equal(created.id, id);
  assert.equal(created.bundle, box.bundle);
  assert.deepEqual(created.annotations, { "com.example.key": "value" });
  assert.ok(created.pid > 0 && typeof created.ociVersion === "string");

  await box.ok("start", id);
  const running = await box.state(id);
  assert.deepEqual([running.status, running.pid], ["running", created.pid]);

  await box.ok("kill", id, "TERM");
  await box.until(id, "stopped");
  assert.equal((await box.state(id)).pid, 0);
  await box.ok("delete", id);
  assert.equal((await box.call(["state", id])).code, 1);
});

test("create: a program that does not exist is named, and nothing is left", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.process.args = ["/no/such/program"];
  const { code, stderr } = await box.run(id);
  assert.notEqual(code, 0);
  assert.match(stderr, /\/no\/such\/program/);
  assert.notEqual((await box.call(["state", id])).code, 0);
});

test("create: an id in use is refused and the first container lives on", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("create", "--bundle", box.bundle, id);
  const second = await box.call(["create", "--bundle", box.bundle, id]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /exist/);
  assert.equal((await box.state(id)).status, "created");
});

test("start: a running container is refused", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("create", "--bundle", box.bundle, id);
  await box.ok("start", id);
  const again = await box.call(["start", id]);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /cannot start|running/i);
});

test("delete: a running container is refused without --force and goes with it", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { pid } = await box.state(id);
  assert.equal((await box.call(["delete", id])).code, 1);
  await box.ok("delete", "--force", id);
  assert.ok(isGone(pid));
  assert.equal((await box.call(["state", id])).code, 1);
});

test("runk 45: options stand behind the id as well, but for those of another program", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", id, "-d", "-b", box.bundle);
  await box.ok("update", id, "--cpu-share", "512");
  assert.equal((await box.ok("exec", id, "echo", "-t", "--tty")).stdout, "-t --tty\n");
  assert.match((await box.ok("ps", id, "-e", "-o", "pid,args")).stdout, /sleep 100/);
  await box.ok("kill", id, "KILL", "--all");
  await box.until(id, "stopped");
  await box.ok("delete", id, "--force");
});

test("delete --force: an unknown container is no error, delete without it is", async () => {
  await using box = new Box();
  assert.equal((await box.call(["delete", "--force", "nobody"])).code, 0);
  assert.equal((await box.call(["delete", "nobody"])).code, 1);
});

test("kill: a stopped container answers 'container not running'", async () => {
  await using box = new Box();
  const id = box.id();
  box.save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await box.until(id, "stopped");
  const { code, stderr } = await box.call(["kill", id, "TERM"]);
  assert.equal(code, 1);
  assert.match(stderr, /container not running/);
});

test("pause and resume: the state follows and processes stand still", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("i=0; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.02; done").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await box.ok("pause", id);
  assert.equal((await box.state(id)).status, "paused");
  const count = () => Deno.readTextFileSync(`${box.rootfs}/tmp/count`);
  const before = count();
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(count(), before);
  assert.notEqual((await box.call(["exec", id, "/bin/true"])).code, 0);
  await box.ok("resume", id);
  assert.equal((await box.state(id)).status, "running");
});

test("list shows id, pid, status and bundle; --quiet only ids; --format json all", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { pid } = await box.state(id);
  const table = (await box.ok("list")).stdout.split("\n");
  assert.match(table[0]!, /^ID +PID +STATUS +BUNDLE +CREATED +OWNER/);
  assert.match(table[1]!, new RegExp(`^${id} +${pid} +running +${box.bundle} .* root`));
  assert.equal((await box.ok("list", "--quiet")).stdout, `${id}\n`);
  const [row] = JSON.parse((await box.ok("list", "--format", "json")).stdout);
  assert.deepEqual([row.id, row.pid, row.status, row.owner], [id, pid, "running", "root"]);
});

test("ps lists the processes of the container, as table and as JSON", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 101 & sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { pid } = await box.state(id);
  const pids: number[] = JSON.parse((await box.ok("ps", "--format", "json", id)).stdout);
  assert.ok(pids.includes(pid));
  const table = (await box.ok("ps", id)).stdout;
  assert.match(table, /PID/);
  assert.match(table, new RegExp(`\\b${pid}\\b`));
});

test("run: --pid-file holds the pid without a newline", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--pid-file", `${box.dir}/pid`, "--bundle", box.bundle, id);
  assert.equal(Deno.readTextFileSync(`${box.dir}/pid`), String((await box.state(id)).pid));
});

testEach([{ status: 0 }, { status: 7 }, { status: 255 }])(
  "run: exit status $status of the container is the runtime's",
  async ({ status }) => {
    await using box = new Box();
    assert.equal((await box.sh(`exit ${status}`).run()).code, status);
  },
);

testEach([{ signal: "KILL", status: 137 }, { signal: "TERM", status: 143 }, { signal: "INT", status: 130 }])(
  "B1: run of a process killed by SIG$signal exits with $status",
  async ({ signal, status }) => {
    await using box = new Box();
    // A shell as pid 1 would not get its own default signals: the child dies, and pid 1 passes on the kernel's view.
    box.sh(`sh -c 'kill -${signal} $$'; exit $?`);
    assert.equal((await box.run()).code, status);
  },
);

test("B1: run of a container whose init is killed from outside exits with 137", async () => {
  await using box = new Box();
  const id = box.id();
  const run = box.sh("echo up > /tmp/up; sleep 100").run(id);
  await until(() => exists(`${box.rootfs}/tmp/up`));
  await box.ok("kill", id, "KILL");
  assert.equal((await run).code, 137);
});

test("B7: kill --all and delete take down what init has left in the background", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.linux.namespaces = box.spec.linux.namespaces.filter(({ type }: { type: string }) => type !== "pid");
  box.sh("setsid sleep 4242 & setsid sleep 4242 & wait").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await until(() => pidsOf("sleep\x004242").length >= 2);
  await box.ok("kill", "--all", id, "KILL");
  await box.until(id, "stopped");
  assert.deepEqual(pidsOf("sleep\x004242"), []);
});

testEach([
  { signal: "9" },
  { signal: "KILL" },
  { signal: "SIGKILL" },
  { signal: "sigkill" },
])("kill accepts the signal as $signal", async ({ signal }) => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await box.ok("kill", id, signal);
  await box.until(id, "stopped");
});

test("kill: an unknown signal is refused by name", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { code, stderr } = await box.call(["kill", id, "NOSUCH"]);
  assert.equal(code, 1);
  assert.match(stderr, /NOSUCH/i);
});

test("concurrent commands: of many starts and deletes at once, one each does it", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("create", "--bundle", box.bundle, id);
  const codes = async (...args: string[]) =>
    (await Promise.all(Array.from({ length: 4 }, () => box.call(args)))).map(({ code }) => code).sort();
  assert.deepEqual(await codes("start", id), [0, 1, 1, 1]);
  assert.equal((await box.state(id)).status, "running");
  assert.deepEqual(await codes("delete", "--force", id), [0, 0, 0, 0]);
  assert.equal((await box.call(["state", id])).code, 1);
});

/** Whether the process has ended; a zombie that the host's init has not reaped yet has. */
function isGone(pid: number): boolean {
  return !exists(`/proc/${pid}/stat`) || / Z /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
}

/** Host pids whose command line holds `text` (arguments separated by NUL). */
function pidsOf(text: string): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    try {
      return pid > 0 && Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes(text);
    } catch {
      return false; // gone meanwhile
    }
  });
}
