/** The shim's work on the host for the containers of a pod: hooks at their moments, and the pod's own account. */
import assert from "node:assert/strict";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { createLogger } from "../../src/base/log.ts";
import { MetricsSchema } from "../../src/proto/cgroups_v1_pb.ts";
import { readState } from "../../src/sandbox/persist.ts";
import { deleteTask } from "../../src/shim/delete.ts";
import { NO_OPTIONS, OWN_NAMESPACES, Shim } from "./fake_shim.ts";

const PROCESS = { args: ["sleep"], cwd: "/", user: { uid: 0, gid: 0 } };
const POD = { "io.kubernetes.cri.container-type": "sandbox" };
const IN_POD = { "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "c1" };
const SIGKILL = 9;
const log = createLogger({ sink: () => {} });

/** A hook that notes its kind and what it read. */
function noting(file: string, kind: string, status = 0): unknown {
  return { path: "/bin/sh", args: ["sh", "-c", `echo "${kind} $(cat)" >>${file}; exit ${status}`] };
}

function hooksThatNote(file: string): Record<string, unknown> {
  const kinds = ["prestart", "createRuntime", "poststart", "poststop"];
  return Object.fromEntries(kinds.map((kind) => [kind, [noting(file, kind)]]));
}

/** Kind, container and status of each hook that ran, and the process that it was told of. */
function noted(file: string): { moment: string; pid: number }[] {
  return Deno.readTextFileSync(file).trim().split("\n").map((line) => {
    const [kind = ""] = line.split(" ");
    const { id, status, pid } = JSON.parse(line.slice(kind.length));
    return { moment: `${kind} ${id} ${status}`, pid };
  });
}

function moments(file: string): string[] {
  return noted(file).map(({ moment }) => moment);
}

async function create(shim: Shim, id: string, spec: Record<string, unknown>): Promise<void> {
  const bundle = shim.bundle(id, { process: PROCESS, ...spec });
  await shim.tasks.create({ id, bundle, rootfs: [], ...NO_OPTIONS });
}

async function end(shim: Shim, id: string): Promise<void> {
  await shim.tasks.kill({ id, execId: "", signal: SIGKILL, all: true });
  await shim.tasks.wait({ id, execId: "" });
  await shim.tasks.delete({ id, execId: "" });
}

Deno.test("hooks of a pod's containers run on the host at their moments, with the state on standard input", async () => {
  await using shim = new Shim();
  const file = `${shim.directory}/noted`;
  const linux = { namespaces: OWN_NAMESPACES };
  await create(shim, "c1", { hooks: hooksThatNote(file), annotations: POD, linux });
  assert.deepEqual(moments(file), ["prestart c1 creating", "createRuntime c1 creating"]);
  await shim.start();
  assert.deepEqual(moments(file).slice(2), ["poststart c1 running"]);
  await create(shim, "c2", { hooks: hooksThatNote(file), annotations: IN_POD });
  await shim.tasks.start({ id: "c2", execId: "" });
  await end(shim, "c2");
  const ofSecond = ["prestart creating", "createRuntime creating", "poststart running", "poststop stopped"];
  assert.deepEqual(moments(file).slice(3), ofSecond.map((moment) => moment.replace(" ", " c2 ")));
  await end(shim, "c1");
  assert.deepEqual(noted(file).at(-1), { moment: "poststop c1 stopped", pid: 0 });
  assert.ok(noted(file).slice(0, -1).every(({ pid }) => pid === Deno.pid), "the VMM's process");
});

const FAILING = { path: "/bin/sh", args: ["sh", "-c", "echo the reason >&2; exit 3"] };

Deno.test("a hook that fails stops the creation, with its words", async () => {
  await using shim = new Shim();
  await assert.rejects(create(shim, "c1", { hooks: { createRuntime: [FAILING] } }), (error: Error) => {
    return /createRuntime hook 0/.test(error.message) && /status 3, saying: the reason/.test(String(error.cause));
  });
});

Deno.test("runk 13: a poststart hook that fails makes the start fail, with its words, and the container is killed", async () => {
  await using shim = new Shim();
  await create(shim, "c1", { hooks: { poststart: [FAILING] } });
  await assert.rejects(shim.start(), (error: Error) => {
    return /poststart hook 0/.test(error.message) && /status 3, saying: the reason/.test(String(error.cause));
  });
  assert.equal((await shim.tasks.wait({ id: "c1", execId: "" })).exitStatus, 128 + SIGKILL);
  await shim.tasks.delete({ id: "c1", execId: "" });
});

Deno.test("a hook that fails after the end changes nothing", async () => {
  await using shim = new Shim();
  await create(shim, "c1", { hooks: { poststop: [FAILING] } });
  await shim.start();
  await end(shim, "c1");
  assert.deepEqual(shim.topics.slice(-4), ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
});

Deno.test("the poststop hooks of a container whose shim died run when its remains are taken away", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "kata-delete-" });
  try {
    const file = `${directory}/noted`;
    const spec = { ociVersion: "1.2.0", process: PROCESS, hooks: hooksThatNote(file) };
    Deno.writeTextFileSync(`${directory}/config.json`, JSON.stringify(spec));
    const args = { id: "gone", namespace: "n", address: "", publishBinary: "", bundle: directory, socket: "" };
    const roots = { run: `${directory}/run`, shared: `${directory}/shared` };
    await deleteTask({ ...args, action: "delete", debug: false }, { bundle: directory, log, roots });
    assert.deepEqual(moments(file), ["poststop gone stopped"]);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("metrics of a pod's own id are those of its cgroup on the host, of a container those of the guest", async () => {
  await using shim = new Shim();
  const cgroupsPath = `/kata-test-${crypto.randomUUID().slice(0, 8)}`;
  const namespaces = OWN_NAMESPACES;
  await create(shim, "c1", { annotations: POD, linux: { namespaces, cgroupsPath } });
  await create(shim, "c2", { annotations: IN_POD });
  const processes = [1, 2].map(() => new Deno.Command("sleep", { args: ["1000"] }).spawn());
  try {
    for (const directory of readState(`${shim.roots.run}/c1`)?.cgroups ?? []) {
      for (const { pid } of processes) Deno.writeTextFileSync(`${directory}/cgroup.procs`, String(pid));
    }
    const counts = await Promise.all(["c1", "c2"].map(async (id) => {
      const { stats } = await shim.tasks.stats({ id });
      return anyUnpack(stats, MetricsSchema)?.pids?.current;
    }));
    assert.deepEqual(counts, [BigInt(processes.length), 1n]);
  } finally {
    for (const process of processes) process.kill("SIGKILL");
    await Promise.all(processes.map(({ status }) => status));
  }
});

Deno.test("kind 1: a pod, and a container of it, is refused by the name of an annotation that changes nothing", async () => {
  await using shim = new Shim();
  const linux = { namespaces: OWN_NAMESPACES };
  const size = { "io.katacontainers.config.hypervisor.default_vcpus": "1" };
  const data = { "io.katacontainers.config.hypervisor.cc_init_data": "H4sI" };
  const swap = { "io.katacontainers.container.resource.swappiness": "60" };
  const refused = { code: "UNIMPLEMENTED", message: /^Cannot use annotation "io\.katacontainers\.[\w.]+": it changes/ };
  await assert.rejects(create(shim, "c1", { annotations: { ...POD, ...data }, linux }), refused);
  await create(shim, "c1", { annotations: { ...POD, ...size }, linux });
  await assert.rejects(create(shim, "c2", { annotations: { ...IN_POD, ...swap } }), refused);
  await create(shim, "c2", { annotations: { ...IN_POD, ...size } });
});

const REFUSALS: readonly { title: string; removeContainer: () => Promise<never> }[] = [
  { title: "refuses", removeContainer: () => Promise.reject(new Error("no")) },
  { title: "never answers", removeContainer: () => new Promise(() => {}) },
];

Deno.test.each(REFUSALS)("F1: a guest that $title to remove a container keeps no shim from ending", async (hostile) => {
  await using shim = new Shim({ removeContainer: hostile.removeContainer });
  await create(shim, "c1", { annotations: POD, linux: { namespaces: OWN_NAMESPACES } });
  await create(shim, "c2", { annotations: IN_POD });
  for (const id of ["c1", "c2"]) await shim.tasks.start({ id, execId: "" });
  await shim.tasks.kill({ id: "c2", execId: "", signal: SIGKILL, all: true });
  await shim.tasks.wait({ id: "c2", execId: "" });
  const removal = shim.tasks.delete({ id: "c2", execId: "" }).then(() => "removed", () => "failed");
  await end(shim, "c1");
  await shim.tasks.shutdown({ id: "c1", now: false });
  assert.ok(shim.isDown);
  assert.deepEqual(shim.mounts(), []);
  assert.equal(await removal, "failed");
});

Deno.test("F1: what cannot be unmounted or removed on the host keeps no shim from ending", async () => {
  await using shim = new Shim();
  await create(shim, "c1", { annotations: POD, linux: { namespaces: OWN_NAMESPACES } });
  await create(shim, "c2", { annotations: IN_POD });
  for (const id of ["c1", "c2"]) await shim.tasks.start({ id, execId: "" });
  // Something that this shim did not make.
  Deno.writeTextFileSync(`${shim.roots.shared}/c1/mounts/passthrough/c2/other`, "");
  await assert.rejects(end(shim, "c2"), /ENOTEMPTY/);
  await assert.rejects(shim.tasks.delete({ id: "c2", execId: "" }), { code: "NOT_FOUND" });
  await end(shim, "c1");
  await shim.tasks.shutdown({ id: "c1", now: false });
  assert.ok(shim.isDown);
});
