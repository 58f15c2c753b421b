/** Cgroups that a container has not made, or not for itself alone. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { Box, RUNTIME } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { finish } from "../support/command.ts";
import { until } from "../support/wait.ts";

const ROOT = "/sys/fs/cgroup";
const isV2 = exists(`${ROOT}/cgroup.controllers`);
/** The hierarchies that runtimes use. */
const HIERARCHIES = isV2
  ? [ROOT]
  : ["memory", "pids", "cpu", "freezer", "devices", "cpuset"].map((name) => `${ROOT}/${name}`).filter(exists);

/** A container's directory in each hierarchy. */
function groups(box: Box): string[] {
  return HIERARCHIES.map((hierarchy) => `${hierarchy}${box.spec.linux.cgroupsPath}`);
}

/** A v1 group without CPUs takes nobody. */
function makeGroup(path: string): void {
  for (let end = ROOT.length + 1; end > 0;) {
    end = path.indexOf("/", end + 1);
    const part = end < 0 ? path : path.slice(0, end);
    if (exists(part)) continue;
    Deno.mkdirSync(part);
    if (!path.startsWith(`${ROOT}/cpuset/`)) continue;
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      Deno.writeTextFileSync(`${part}/${file}`, Deno.readTextFileSync(`${part.replace(/\/[^/]*$/, "")}/${file}`));
    }
  }
}

/** Groups that somebody made before, and removes at the end. */
function madeBefore(box: Box): Disposable {
  const paths = groups(box);
  for (const path of paths) makeGroup(path);
  return { [Symbol.dispose]: () => paths.filter(exists).forEach((path) => Deno.removeSync(path)) };
}

/** A process of the machine in the container's groups. */
function stranger(box: Box): Deno.ChildProcess {
  const child = new Deno.Command("sleep", { args: ["1000"] }).spawn();
  for (const path of groups(box)) Deno.writeTextFileSync(`${path}/cgroup.procs`, String(child.pid));
  return child;
}

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}

async function ended(child: Deno.ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await child.status;
}

/** Two containers in one group, the second a neighbour that goes on. */
async function neighbours(box: Box, { hostPids }: { hostPids: boolean }): Promise<{ first: string; second: string }> {
  if (hostPids) {
    box.spec.linux.namespaces = box.spec.linux.namespaces.filter((one: { type: string }) => one.type !== "pid");
  }
  const [first, second] = [box.id(), box.id()];
  box.sh("sleep 1000 & setsid sleep 1000 & wait").save();
  for (const id of [first, second]) await box.ok("run", "--detach", "--bundle", box.bundle, id);
  return { first, second };
}

testEach([
  { how: "is killed and deleted", hostPids: false, force: false },
  { how: "is deleted by force", hostPids: false, force: true },
  { how: "of the machine's pid namespace is killed and deleted", hostPids: true, force: false },
  { how: "of the machine's pid namespace is deleted by force", hostPids: true, force: true },
])("runk 09: a container whose neighbour in its cgroup $how lives on in it", async ({ hostPids, force }) => {
  await using box = new Box();
  const { first, second } = await neighbours(box, { hostPids });
  const { pid } = await box.state(first);
  if (force) await box.ok("delete", "--force", first);
  else {
    await box.ok("kill", first, "KILL");
    await box.until(first, "stopped");
    await box.ok("delete", first);
  }
  assert.ok(!isAlive(pid));
  assert.equal((await box.state(second)).status, "running");
  const members = Deno.readTextFileSync(`${groups(box)[0]}/cgroup.procs`).trim().split("\n");
  assert.equal(members.length, 3);
  await box.ok("exec", second, "true");
  // The last one takes away what the first has made.
  await box.ok("delete", "--force", second);
  assert.deepEqual(groups(box).filter(exists), []);
});

testEach([{ pids: "its own" }, { pids: "the machine's" }])(
  "runk 09: a first process that has left its groups ends by delete --force, in $pids pid namespace",
  async ({ pids }) => {
    await using box = new Box();
    const id = box.id();
    if (pids !== "its own") {
      box.spec.linux.namespaces = box.spec.linux.namespaces.filter((one: { type: string }) => one.type !== "pid");
    }
    box.sh("sleep 1000").save();
    await box.ok("run", "--detach", "--bundle", box.bundle, id);
    const { pid } = await box.state(id);
    const all = isV2 ? [ROOT] : [...Deno.readDirSync(ROOT)].map(({ name }) => `${ROOT}/${name}`);
    for (const hierarchy of all) Deno.writeTextFileSync(`${hierarchy}/cgroup.procs`, String(pid));
    await box.ok("delete", "--force", id);
    assert.ok(!isAlive(pid));
    assert.deepEqual(groups(box).filter(exists), []);
  },
);

test("runk 09: a container that ends in the foreground leaves its neighbour in its cgroup alone", async () => {
  await using box = new Box();
  const neighbour = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, neighbour);
  box.sh("exit 3");
  assert.equal((await box.run()).code, 3);
  assert.equal((await box.state(neighbour)).status, "running");
  await box.ok("exec", neighbour, "true");
});

test("runk 09: a container of an id that was free meanwhile is left alone by a command for the one before", async () => {
  await using box = new Box();
  const id = box.id();
  // Without a pid namespace, all that is in the group would be taken for the container's.
  box.spec.linux.namespaces = box.spec.linux.namespaces.filter((one: { type: string }) => one.type !== "pid");
  const hook = `cat >/dev/null; touch ${box.dir}/waits; while [ ! -e ${box.dir}/go ]; do sleep 0.05; done; exit 1`;
  box.spec.hooks = { poststart: [{ path: "/bin/sh", args: ["sh", "-c", hook] }] };
  box.sh("sleep 1000").save();
  const first = box.call(["run", "--detach", "--bundle", box.bundle, id]);
  await until(() => exists(`${box.dir}/waits`));
  await box.ok("delete", "--force", id);
  delete box.spec.hooks;
  box.save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  Deno.writeTextFileSync(`${box.dir}/go`, "");
  assert.notEqual((await first).code, 0);
  assert.equal((await box.state(id)).status, "running");
  await box.ok("delete", "--force", id);
});

testEach([
  { how: "is deleted by force", end: ["delete", "--force"] },
  { how: "is killed", end: ["kill", "--all"] },
])("runk 09b: a stranger in a container's cgroup lives on when that $how", async ({ end }) => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { pid } = await box.state(id);
  const child = stranger(box);
  try {
    await box.ok(...end, id, ...(end[0] === "kill" ? ["KILL"] : []));
    await until(() => !isAlive(pid));
    assert.ok(isAlive(child.pid));
    await box.ok("delete", "--force", id);
    assert.ok(isAlive(child.pid));
    assert.deepEqual(groups(box).filter((path) => !exists(path)), [], "its group is gone");
  } finally {
    await ended(child);
    for (const path of groups(box)) Deno.removeSync(path);
  }
});

testEach([{ command: "run" }, { command: "create" }])(
  "runk 09b: a cgroup that was there before stays, with who is in it, when $command fails or ends",
  async ({ command }) => {
    await using box = new Box();
    using _groups = madeBefore(box);
    const child = stranger(box);
    try {
      const id = box.id();
      if (command === "create") box.spec.hooks = { createRuntime: [{ path: "/bin/false" }] };
      box.sh("exit 4").save();
      const { code } = await box.call([command, "--bundle", box.bundle, id]);
      assert.equal(code, command === "run" ? 4 : 1);
      assert.ok(isAlive(child.pid));
      assert.deepEqual(groups(box).filter((path) => !exists(path)), []);
    } finally {
      await ended(child);
    }
  },
);

/** Without a pid namespace, whose kernel ends what is left. */
function shareMachinePids(box: Box): void {
  box.spec.linux.namespaces = box.spec.linux.namespaces.filter((one: { type: string }) => one.type !== "pid");
}

/** Pids in the container's group. */
function members(box: Box): number[] {
  return Deno.readTextFileSync(`${groups(box)[0]}/cgroup.procs`).trim().split("\n").filter(Boolean).map(Number);
}

testEach([
  { how: "by delete --force", end: [["delete", "--force"]] },
  { how: "by kill and delete", end: [["kill"], ["delete"]] },
])("runk 09b: in a cgroup of others, processes end whose parents have ended, $how", async ({ end }) => {
  await using box = new Box();
  using _groups = madeBefore(box);
  const child = stranger(box);
  try {
    const id = box.id();
    shareMachinePids(box);
    box.sh("(setsid sleep 1000 &); (sh -c 'setsid sleep 1000 &' &); exec sleep 1000").save();
    await box.ok("run", "--detach", "--bundle", box.bundle, id);
    await until(() => members(box).length === 4);
    for (const [command, ...options] of end) {
      if (options.length === 0 && command === "delete") await box.until(id, "stopped");
      await box.ok(command!, ...options, id, ...(command === "kill" ? ["KILL"] : []));
    }
    assert.deepEqual(members(box), [child.pid]);
    assert.ok(isAlive(child.pid));
  } finally {
    await ended(child);
  }
});

/** As on a kernel that gives mount namespaces no number of their own. */
async function forgetNamespaceId(box: Box, id: string): Promise<void> {
  const path = `${box.root}/${id}/state.json`;
  const { mountNamespaceId: _, ...rest } = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(path, JSON.stringify(rest));
}

testEach([
  { how: "by delete", end: ["delete"], kernel: "of now" },
  { how: "by delete", end: ["delete"], kernel: "before 6.11" },
  { how: "by kill --all", end: ["kill", "--all"], kernel: "of now" },
  { how: "by kill --all", end: ["kill", "--all"], kernel: "before 6.11" },
])(
  "runk 09b: a container that is gone ends nobody else who got the number of its mount namespace, $how on a kernel $kernel",
  async ({ end, kernel }) => {
    await using box = new Box();
    using _groups = madeBefore(box);
    shareMachinePids(box);
    const [gone, next] = [box.id(), box.id()];
    box.sh("exit 0").save();
    await box.ok("run", "--detach", "--bundle", box.bundle, gone);
    await box.until(gone, "stopped");
    if (kernel !== "of now") await forgetNamespaceId(box, gone);
    const path = `${box.root}/${gone}/state.json`;
    box.sh("sleep 1000").save();
    await box.ok("run", "--detach", "--bundle", box.bundle, next);
    const { pid } = await box.state(next);
    // Usually the kernel does this itself, unless somebody else on the machine takes the number in between.
    const state = JSON.parse(await Deno.readTextFile(path));
    await Deno.writeTextFile(
      path,
      JSON.stringify({ ...state, mountNamespace: await Deno.readLink(`/proc/${pid}/ns/mnt`) }),
    );
    await box.call([...end, gone, ...(end[0] === "kill" ? ["KILL"] : [])]);
    assert.ok(isAlive(pid), "the other container is gone");
    assert.equal((await box.state(next)).status, "running");
    if (end[0] === "kill") await box.ok("delete", gone);
    assert.ok(isAlive(pid));
    await box.ok("delete", "--force", next);
  },
);

testEach([{ kernel: "of now" }, { kernel: "before 6.11" }])(
  "runk 09b: in a cgroup of others, nobody is ended of whom nothing tells whose he is, on a kernel $kernel",
  async ({ kernel }) => {
    await using box = new Box();
    using _groups = madeBefore(box);
    shareMachinePids(box);
    const id = box.id();
    box.sh("(setsid sleep 1000 &); exit 0").save();
    await box.ok("run", "--detach", "--bundle", box.bundle, id);
    await box.until(id, "stopped");
    await until(() => members(box).length === 1);
    const [left] = members(box);
    if (kernel === "of now") {
      await box.ok("delete", id);
      assert.deepEqual(members(box), []);
      return;
    }
    await forgetNamespaceId(box, id);
    const { stderr } = await box.ok("delete", id);
    try {
      assert.match(stderr, /processes stay: nothing tells any more/);
      assert.ok(isAlive(left!));
    } finally {
      Deno.kill(left!, "SIGKILL");
      await until(() => members(box).length === 0);
    }
  },
);

/** Forks and ends, again and again: whoever looks finds another one. */
const FLEES = "f() { f & exit 0; }; f";

testEach([
  { how: "by delete --force", end: [["delete", "--force"]], frozen: "" },
  { how: "by kill and delete", end: [["kill"], ["delete"]], frozen: "" },
  { how: "by delete --force of a paused one", end: [["delete", "--force"]], frozen: "by pause" },
  { how: "by delete --force where others froze it", end: [["delete", "--force"]], frozen: "by others" },
])("runk 09b: one in a cgroup of others that forks and ends without end is ended, $how", async ({ end, frozen }) => {
  await using box = new Box();
  using _groups = madeBefore(box);
  const child = stranger(box);
  try {
    const id = box.id();
    shareMachinePids(box);
    box.sh(`for i in 1 2 3 4; do (${FLEES}) & done; exec sleep 1000`).save();
    await box.ok("run", "--detach", "--bundle", box.bundle, id);
    await until(() => members(box).length >= 4);
    const group = isV2 ? groups(box)[0]! : `${ROOT}/freezer${box.spec.linux.cgroupsPath}`;
    const file = `${group}/${isV2 ? "cgroup.freeze" : "freezer.state"}`;
    const [still, runs] = isV2 ? ["1", "0"] : ["FROZEN", "THAWED"];
    if (frozen === "by pause") await box.ok("pause", id);
    if (frozen === "by others") {
      Deno.writeTextFileSync(file, still!);
      await until(() => isV2 || Deno.readTextFileSync(file).trim() === still);
    }
    for (const [command, ...options] of end) {
      if (options.length === 0 && command === "delete") await box.until(id, "stopped");
      await box.ok(command!, ...options, id, ...(command === "kill" ? ["KILL"] : []));
    }
    assert.deepEqual(members(box), [child.pid]);
    assert.ok(isAlive(child.pid));
    // A pause ends with its container.
    assert.equal(Deno.readTextFileSync(file).trim(), frozen === "by others" ? still : runs);
  } finally {
    if (!isV2) Deno.writeTextFileSync(`${ROOT}/freezer${box.spec.linux.cgroupsPath}/freezer.state`, "THAWED");
    await ended(child);
  }
});

test("runk 09: a container without a pid namespace leaves one alone whose group is below its own", async () => {
  await using box = new Box();
  shareMachinePids(box);
  const [outer, inner] = [box.id(), box.id()];
  const path = box.spec.linux.cgroupsPath;
  box.sh("(setsid sleep 1000 &); exec sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, outer);
  box.spec.linux.cgroupsPath = `${path}/below`;
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, inner);
  box.spec.linux.cgroupsPath = path;
  await until(() => members(box).length === 2);
  await box.ok("delete", "--force", outer);
  assert.equal((await box.state(inner)).status, "running");
  assert.deepEqual(members(box), []);
  await box.ok("exec", inner, "true");
  await box.ok("delete", "--force", inner);
});

test("runk 09: more processes than may be opened at a time are ended", async () => {
  await using box = new Box();
  using _groups = madeBefore(box);
  const id = box.id();
  shareMachinePids(box);
  box.sh("for i in $(seq 300); do sleep 1000 & done; exec sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await until(() => members(box).length === 301);
  const { code, stdout } = await finish("sh", {
    args: ["-c", `ulimit -n 256; exec "$@" 2>&1`, "sh", ...box.words(["delete", "--force", id])],
  });
  assert.equal(code, 0, new TextDecoder().decode(stdout));
  assert.deepEqual(members(box), []);
});

test("runk 09b: an empty cgroup that was there before is not the container's to remove", async () => {
  await using box = new Box();
  using _groups = madeBefore(box);
  box.sh("exit 4");
  assert.equal((await box.run()).code, 4);
  assert.deepEqual(groups(box).filter((path) => !exists(path)), []);
});

const hasCpuset = HIERARCHIES.includes(`${ROOT}/cpuset`);

testEach([{ what: "the group itself", depth: 0 }, { what: "the group above", depth: 1 }, {
  what: "one two levels up",
  depth: 2,
}])(
  "runk 07: a container starts where $what was made by plain mkdir, without any CPUs",
  async ({ depth }) => {
    if (!hasCpuset) return;
    await using box = new Box();
    const top = `/oci-tests/${crypto.randomUUID().slice(0, 8)}`;
    const path = `${top}/a/b`;
    const made = `${ROOT}/cpuset${path.split("/").slice(0, 5 - depth).join("/")}`;
    Deno.mkdirSync(made, { recursive: true });
    box.spec.linux.cgroupsPath = path;
    const { code, stdout, stderr } = await box.sh("grep ^Cpus_allowed_list /proc/self/status").run();
    assert.equal(code, 0, stderr);
    assert.match(stdout, /:\t\d/);
    for (const rest of [`${top}/a/b`, `${top}/a`, top]) {
      for (const hierarchy of HIERARCHIES) if (exists(`${hierarchy}${rest}`)) Deno.removeSync(`${hierarchy}${rest}`);
    }
  },
);

test("runk-more Y1: many containers start at once under a parent that none has made yet", async () => {
  for (let round = 0; round < 4; round++) {
    const parent = `/oci-tests/${crypto.randomUUID().slice(0, 8)}/deep`;
    const boxes = Array.from({ length: 4 }, () => new Box());
    try {
      const results = await Promise.all(boxes.map((one, index) => {
        one.spec.linux.cgroupsPath = `${parent}/${index}`;
        return one.sh("exit 5").run();
      }));
      assert.deepEqual(results.map(({ code, stderr }) => stderr || code), [5, 5, 5, 5]);
    } finally {
      for (const one of boxes) await one[Symbol.asyncDispose]();
      for (const rest of [parent, parent.slice(0, -5)]) {
        for (const hierarchy of HIERARCHIES) if (exists(`${hierarchy}${rest}`)) Deno.removeSync(`${hierarchy}${rest}`);
      }
    }
  }
});

testEach([{ command: "create" }, { command: "run" }])(
  "runk 08: $command in a frozen cgroup is refused at once, by name",
  async ({ command }) => {
    await using box = new Box();
    using _groups = madeBefore(box);
    const frozen = isV2 ? groups(box)[0]! : `${ROOT}/freezer${box.spec.linux.cgroupsPath}`;
    const [file, on, off] = isV2 ? ["cgroup.freeze", "1", "0"] : ["freezer.state", "FROZEN", "THAWED"];
    Deno.writeTextFileSync(`${frozen}/${file}`, on);
    const id = box.id();
    box.sh("exit 4").save();
    try {
      const { code, stderr } = await box.call([command, "--bundle", box.bundle, id]);
      assert.equal(code, 1);
      assert.match(stderr, /cgroup unexpectedly frozen/);
      assert.notEqual((await box.call(["state", id])).code, 0);
    } finally {
      Deno.writeTextFileSync(`${frozen}/${file}`, off);
    }
  },
);

test("runk 51: kill KILL ends what is left of a container whose first process has gone", async () => {
  await using box = new Box();
  box.spec.linux.namespaces = box.spec.linux.namespaces.filter((one: { type: string }) => one.type !== "pid");
  const id = box.id();
  box.sh("setsid sleep 1000 & exit 0").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await box.until(id, "stopped");
  const left = Number(Deno.readTextFileSync(`${groups(box)[0]}/cgroup.procs`));
  assert.ok(isAlive(left));
  await box.ok("kill", id, "KILL");
  await until(() => !isAlive(left));
  const again = await box.call(["kill", id, "KILL"]);
  assert.match(again.stderr, /container not running/);
});

testEach([{ pids: "its own" }, { pids: "the machine's" }])(
  "runk-more C7: delete --force of a first process that stands in a frozen group of others, in $pids pid namespace, names it",
  async ({ pids }) => {
    if (isV2) return;
    await using box = new Box();
    const id = box.id();
    if (pids !== "its own") shareMachinePids(box);
    box.sh("sleep 1000").save();
    await box.ok("run", "--detach", "--bundle", box.bundle, id);
    const { pid } = await box.state(id);
    const other = `${ROOT}/freezer/oci-tests/other-${crypto.randomUUID().slice(0, 8)}`;
    Deno.mkdirSync(other, { recursive: true });
    Deno.writeTextFileSync(`${other}/cgroup.procs`, String(pid));
    Deno.writeTextFileSync(`${other}/freezer.state`, "FROZEN");
    try {
      const { code, stderr } = await box.call(["delete", "--force", id]);
      assert.equal(code, 1);
      if (RUNTIME.endsWith("runk")) assert.match(stderr, new RegExp(`process ${pid} stays.*frozen in .*${other}`));
      assert.ok(isAlive(pid));
    } finally {
      Deno.writeTextFileSync(`${other}/freezer.state`, "THAWED");
    }
    await until(() => !isAlive(pid));
    await box.ok("delete", "--force", id);
    Deno.removeSync(other);
    assert.deepEqual(groups(box).filter(exists), []);
  },
);
