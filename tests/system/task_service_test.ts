/** The shim's task API over the host's whole domain, with an agent that has no guest. Needs root for mounts. */
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { type Any, AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Fd, O_NONBLOCK, O_RDWR } from "../../src/linux/io/fd.ts";
import { MetricsSchema } from "../../src/proto/cgroups_v1_pb.ts";
import { Status } from "../../src/proto/task_types_pb.ts";
import { readState } from "../../src/sandbox/persist.ts";
import { NO_OPTIONS, Shim } from "./fake_shim.ts";

const SIGKILL = 9;
const SIGTERM = 15;
const SIGHUP = 1;

function execOf(args: readonly string[]): Any {
  const process = { args, cwd: "/", user: { uid: 0, gid: 0 } };
  return create(AnySchema, {
    typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
    value: new TextEncoder().encode(JSON.stringify(process)),
  });
}

/**
 * The end of a fifo that a client reads from. It is open before the shim comes, as a client's is: whoever opens it only when
 * the shim has written and left waits for ever.
 */
async function openReader(path: string) {
  // With a writer there, opening for reading does not wait.
  const keeper = Fd.open(path, O_RDWR | O_NONBLOCK);
  const file = await Deno.open(path);
  const toTheEnd = () => {
    keeper[Symbol.dispose]();
    return new Response(file.readable);
  };
  return {
    /** Call it when the shim has opened its end. */
    text: () => toTheEnd().text(),
    bytes: () => toTheEnd().bytes(),
    [Symbol.dispose]: () => keeper[Symbol.dispose](),
  };
}

Deno.test("a task's events come in containerd's order and its exit status arrives everywhere", async () => {
  await using shim = new Shim();
  await shim.create(["exit", "7"]);
  assert.equal(shim.tasks.state({ id: "c1", execId: "" }).status, Status.CREATED);
  assert.equal(readState(`${shim.roots.run}/c1`)?.containers[0]?.id, "c1");
  await shim.start();
  assert.equal(await shim.wait(), 7);
  assert.equal(shim.tasks.state({ id: "c1", execId: "" }).status, Status.STOPPED);
  const { exitStatus, pid } = await shim.tasks.delete({ id: "c1", execId: "" });
  assert.deepEqual({ exitStatus, pid }, { exitStatus: 7, pid: Deno.pid });
  assert.deepEqual(shim.topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
  await shim.tasks.shutdown({ id: "c1", now: false });
  assert.ok(shim.isDown);
});

Deno.test("the rootfs of the bundle and the volumes are mounted where the guest sees them", async () => {
  await using shim = new Shim();
  const bundle = shim.bundle("bundle", {
    process: { args: ["sleep"], cwd: "/", user: { uid: 0, gid: 0 } },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/data", type: "bind", source: shim.directory, options: ["rbind", "ro"] },
      { destination: "/dev/shm", type: "bind", source: "/dev/shm", options: ["rbind"] },
    ],
  });
  Deno.writeTextFileSync(`${bundle}/rootfs/here`, "");
  await shim.tasks.create({ id: "c1", bundle, rootfs: [], ...NO_OPTIONS });
  const [request] = shim.agent.created;
  assert.equal(request?.OCI?.Root?.Path, "/run/kata-containers/shared/containers/passthrough/c1/rootfs");
  const shared = `${shim.roots.shared}/c1/shared/passthrough/c1`;
  assert.ok(Deno.statSync(`${shared}/rootfs/here`).isFile);
  const sources = request.OCI.Mounts.map(({ source }) => source);
  const name = sources[1]?.replace(/^.*\/passthrough\//, "") ?? "";
  assert.match(name, /^[.]volumes\/\d+-data$/);
  const data = `${shim.roots.shared}/c1/shared/passthrough/${name}`;
  assert.ok(Deno.statSync(`${data}/configuration.toml`).isFile);
  assert.throws(() => Deno.writeTextFileSync(`${data}/x`, ""), { code: "EROFS" });
  assert.deepEqual([sources[0], sources[2]], ["proc", "/run/kata-containers/sandbox/shm"]);
});

Deno.test("an exec is registered, then started; its streams are copied and its end announced", async () => {
  await using shim = new Shim();
  await shim.create(["sleep"]);
  await shim.start();
  const out = `${shim.directory}/out`;
  await new Deno.Command("mkfifo", { args: [out] }).output();
  using reader = await openReader(out);
  await shim.tasks.exec({ ...NO_OPTIONS, id: "c1", execId: "e1", stdout: out, spec: execOf(["echo", "hello"]) });
  await shim.start("e1");
  assert.equal(await reader.text(), "hello\n");
  assert.equal(await shim.wait("e1"), 0);
  await shim.tasks.delete({ id: "c1", execId: "e1" });
  const order = ["/tasks/create", "/tasks/start", "/tasks/exec-added", "/tasks/exec-started", "/tasks/exit"];
  assert.deepEqual(shim.topics, order);
  assert.throws(() => shim.tasks.state({ id: "c1", execId: "e1" }), { code: "NOT_FOUND" });
});

Deno.test("stdin reaches the process, and its end follows CloseIO", async () => {
  await using shim = new Shim();
  const [stdin, stdout] = [`${shim.directory}/in`, `${shim.directory}/out`];
  await new Deno.Command("mkfifo", { args: [stdin, stdout] }).output();
  using reader = await openReader(stdout);
  await shim.create(["cat"], { stdin, stdout });
  await shim.start();
  const sent = crypto.getRandomValues(new Uint8Array(60_000));
  await Deno.writeFile(stdin, sent, { create: false });
  shim.tasks.closeIO({ id: "c1", execId: "", stdin: true });
  assert.deepEqual(await reader.bytes(), sent);
  assert.equal(await shim.wait(), 0);
});

Deno.test.each([
  { signal: SIGTERM, status: 143 },
  { signal: SIGKILL, status: 137 },
])("signal $signal ends a task with status $status (B1)", async ({ signal, status }) => {
  await using shim = new Shim();
  await shim.create(["sleep"]);
  await shim.start();
  await shim.tasks.kill({ id: "c1", execId: "", signal, all: false });
  assert.equal(await shim.wait(), status);
  // Again, and after its end: SIGTERM and SIGKILL are idempotent, another signal finds nobody (B38).
  await shim.tasks.kill({ id: "c1", execId: "", signal, all: true });
  await assert.rejects(shim.tasks.kill({ id: "c1", execId: "", signal: SIGHUP, all: false }), { code: "NOT_FOUND" });
});

Deno.test("a container that is killed before its start ends, and says so", async () => {
  await using shim = new Shim();
  await shim.create(["sleep"]);
  await shim.tasks.kill({ id: "c1", execId: "", signal: SIGKILL, all: false });
  assert.equal(await shim.wait(), 137);
  assert.deepEqual(shim.topics, ["/tasks/create", "/tasks/exit"]);
  await assert.rejects(shim.start(), { code: "FAILED_PRECONDITION" });
});

Deno.test("pause and resume change the state, and metrics are of the host's cgroup version", async () => {
  await using shim = new Shim();
  await shim.create(["sleep"]);
  await shim.start();
  await shim.tasks.pause({ id: "c1" });
  assert.equal(shim.tasks.state({ id: "c1", execId: "" }).status, Status.PAUSED);
  await assert.rejects(shim.tasks.pause({ id: "c1" }), { code: "FAILED_PRECONDITION" });
  await shim.tasks.resume({ id: "c1" });
  assert.equal(shim.tasks.state({ id: "c1", execId: "" }).status, Status.RUNNING);
  const { stats } = await shim.tasks.stats({ id: "c1" });
  assert.equal(anyUnpack(stats, MetricsSchema)?.pids?.current, 1n);
  assert.deepEqual(shim.topics.slice(2), ["/tasks/paused", "/tasks/resumed"]);
});

Deno.test("the size of a terminal set before the start is applied after it", async () => {
  await using shim = new Shim();
  await shim.create(["sleep"], { terminal: true });
  await shim.tasks.resizePty({ id: "c1", execId: "", width: 80, height: 24 });
  await shim.start();
  assert.ok(shim.agent.calls.includes("ttyWinResize 24x80"));
});

Deno.test("when the VM dies, every process of it ends with status 255 at once and nothing is left", async () => {
  await using shim = new Shim();
  await shim.create(["sleep"]);
  await shim.start();
  await shim.tasks.exec({ ...NO_OPTIONS, id: "c1", execId: "e1", spec: execOf(["sleep"]) });
  await shim.start("e1");
  const begin = performance.now();
  shim.vm.die("qemu was killed by SIGKILL");
  assert.deepEqual(await Promise.all([shim.wait(), shim.wait("e1")]), [255, 255]);
  assert.ok(performance.now() - begin < 1000);
  const { exitStatus } = await shim.tasks.delete({ id: "c1", execId: "" });
  assert.equal(exitStatus, 255);
  assert.deepEqual(shim.topics.slice(-3), ["/tasks/exit", "/tasks/exit", "/tasks/delete"]);
});

Deno.test("Delete of what still runs is refused, of what is unknown or deleted is NOT_FOUND (B38)", async () => {
  await using shim = new Shim();
  await assert.rejects(shim.tasks.delete({ id: "c1", execId: "" }), { code: "NOT_FOUND" });
  await shim.create(["sleep"]);
  await shim.start();
  await assert.rejects(shim.tasks.delete({ id: "c1", execId: "" }), { code: "FAILED_PRECONDITION" });
  await shim.tasks.kill({ id: "c1", execId: "", signal: SIGKILL, all: false });
  await shim.wait();
  await shim.tasks.delete({ id: "c1", execId: "" });
  await assert.rejects(shim.tasks.delete({ id: "c1", execId: "" }), { code: "NOT_FOUND" });
});

Deno.test.each([
  { title: "no process", spec: {}, code: "INVALID_ARGUMENT", message: /its configuration has no process/ },
  {
    title: "a mount without its source",
    spec: {
      process: { args: ["sleep"], cwd: "/", user: { uid: 0, gid: 0 } },
      mounts: [{ destination: "/x", type: "bind", source: "/no/such", options: ["rbind"] }],
    },
    code: "INVALID_ARGUMENT",
    message: /Cannot mount "\/no\/such" on "\/x": ENOENT/,
  },
])("Create with $title fails in one line and leaves nothing (B46)", async ({ spec, code, message }) => {
  await using shim = new Shim();
  const request = { ...NO_OPTIONS, id: "c1", bundle: shim.bundle("bundle", spec), rootfs: [] };
  await assert.rejects(shim.tasks.create(request), { code, message });
  assert.deepEqual(shim.mounts(), []);
});

Deno.test("Create with a missing configuration fails before a VM is made (B46)", async () => {
  await using shim = new Shim();
  Deno.mkdirSync(shim.roots.run);
  Deno.mkdirSync(shim.roots.shared);
  Deno.removeSync(`${shim.directory}/configuration.toml`);
  await assert.rejects(shim.create(["sleep"]), /Cannot find a configuration file/);
});

Deno.test.each([
  { who: "is gone", isGone: true },
  { who: "waits, and will end the shim", isGone: false },
])("a shim whose Create failed ends by itself only if who asked $who: $isGone", async ({ isGone }) => {
  await using shim = new Shim();
  for (const root of Object.values(shim.roots)) Deno.mkdirSync(root);
  const asking = new AbortController();
  if (isGone) asking.abort();
  const request = { id: "c1", bundle: `${shim.directory}/no-bundle`, rootfs: [], ...NO_OPTIONS };
  await assert.rejects(shim.tasks.create(request, { signal: asking.signal }));
  assert.equal(shim.isDown, isGone);
});

Deno.test.each([
  { moment: "before it", leaves: (gone: () => void) => gone() },
  { moment: "while the VM boots", leaves: (gone: () => void) => void setTimeout(gone) },
])(
  "a shim whose engine dies $moment makes no sandbox that nobody knows: it ends with all of it",
  async ({ leaves }) => {
    await using shim = new Shim();
    const asking = new AbortController();
    const bundle = shim.bundle("bundle", { process: { args: ["sleep"], cwd: "/", user: { uid: 0, gid: 0 } } });
    leaves(() => asking.abort());
    const request = { id: "c1", bundle, rootfs: [], ...NO_OPTIONS };
    await assert.rejects(shim.tasks.create(request, { signal: asking.signal }));
    assert.ok(shim.isDown);
    assert.deepEqual([shim.mounts(), shim.topics], [[], []]);
  },
);
