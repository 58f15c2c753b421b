import assert from "node:assert/strict";
import { ErrnoError } from "../ffi/errno.ts";
import {
  cgroupJoinTarget,
  cgroupMembers,
  createCgroup,
  detectCgroups,
  joinCgroup,
  joinCgroupThread,
  parseCgroupMembership,
  removeCgroup,
  removeEmptyCgroup,
} from "./cgroup.ts";
import { killCgroup } from "./kill.ts";

/** A directory tree as a cgroup file system. */
function tree(files: Record<string, string>): Disposable & { root: string } {
  const root = Deno.makeTempDirSync({ prefix: "cgroup_test-" });
  for (const [path, text] of Object.entries(files)) {
    Deno.mkdirSync(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(`${root}/${path}`, text);
  }
  return { root, [Symbol.dispose]: () => Deno.removeSync(root, { recursive: true }) };
}

Deno.test("detectCgroups() knows v2 by its controllers at the root", () => {
  using fs = tree({ "cgroup.controllers": "cpu memory pids\n", "cgroup.procs": "" });
  const layout = detectCgroups(fs.root);
  assert.equal(layout.mode, "v2");
  assert.equal(layout.unified, fs.root);
  assert.deepEqual([...layout.unifiedControllers], ["cpu", "memory", "pids"]);
});

Deno.test("detectCgroups() maps each v1 controller to its directory, joint ones too", () => {
  using fs = tree({ "cpu,cpuacct/cgroup.procs": "", "memory/cgroup.procs": "", "systemd/cgroup.procs": "", "x/y": "" });
  const layout = detectCgroups(fs.root);
  assert.equal(layout.mode, "v1");
  assert.equal(layout.unified, undefined);
  assert.deepEqual([...layout.v1].toSorted(), [
    ["cpu", `${fs.root}/cpu,cpuacct`],
    ["cpuacct", `${fs.root}/cpu,cpuacct`],
    ["memory", `${fs.root}/memory`],
    ["systemd", `${fs.root}/systemd`],
  ]);
});

Deno.test("detectCgroups() finds a v2 hierarchy beside v1 controllers", () => {
  using fs = tree({ "pids/cgroup.procs": "", "unified/cgroup.controllers": "\n", "unified/cgroup.procs": "" });
  const layout = detectCgroups(fs.root);
  assert.equal(layout.mode, "hybrid");
  assert.equal(layout.unified, `${fs.root}/unified`);
  assert.deepEqual([...layout.v1.keys()], ["pids"]);
});

Deno.test("detectCgroups() says where it found none", () => {
  using fs = tree({});
  assert.throws(() => detectCgroups(fs.root), { message: `Cannot find cgroups below "${fs.root}"` });
});

Deno.test("parseCgroupMembership() keeps colons of the path", () => {
  assert.deepEqual(parseCgroupMembership("3:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c:d\n"), [
    { hierarchy: 3, controllers: ["cpu", "cpuacct"], path: "/a" },
    { hierarchy: 1, controllers: ["name=systemd"], path: "/b" },
    { hierarchy: 0, controllers: [], path: "/c:d" },
  ]);
});

Deno.test("createCgroup() makes ancestors and accepts what is there", () => {
  using fs = tree({});
  createCgroup(`${fs.root}/a/b/c`);
  createCgroup(`${fs.root}/a/b/c`);
  assert.ok(Deno.statSync(`${fs.root}/a/b/c`).isDirectory);
});

Deno.test("cgroupMembers() lists the cgroup, or all below it, without ids that cannot be seen", () => {
  using fs = tree({ "a/cgroup.procs": "1\n0\n", "a/tasks": "1\n5\n", "a/b/cgroup.procs": "7\n1\n" });
  assert.deepEqual(cgroupMembers(`${fs.root}/a`), [1]);
  assert.deepEqual(cgroupMembers(`${fs.root}/a`, { threads: true }), [1, 5]);
  assert.deepEqual(cgroupMembers(`${fs.root}/a`, { recursive: true }), [1, 7]);
  assert.deepEqual(cgroupMembers(`${fs.root}/gone`), []);
});

Deno.test("joinCgroup() writes the process, joinCgroupThread() the thread where the version has it", () => {
  using fs = tree({ "v1/tasks": "", "v1/cgroup.procs": "", "v2/cgroup.procs": "", "v2/cgroup.threads": "" });
  joinCgroup(`${fs.root}/v2`, 42);
  joinCgroupThread(`${fs.root}/v1`, 43);
  joinCgroupThread(`${fs.root}/v2`, 44);
  assert.equal(Deno.readTextFileSync(`${fs.root}/v2/cgroup.procs`), "42");
  assert.equal(Deno.readTextFileSync(`${fs.root}/v1/tasks`), "43");
  assert.equal(Deno.readTextFileSync(`${fs.root}/v2/cgroup.threads`), "44");
});

Deno.test("joinCgroup() says which cgroup is missing, with the errno as the cause", () => {
  assert.throws(() => joinCgroup("/no/such", 1), (error: Error) => {
    assert.equal(error.message, 'Cannot write "1" to "/no/such/cgroup.procs"');
    return error.cause instanceof ErrnoError && error.cause.code === "ENOENT";
  });
});

Deno.test("removeCgroup() removes the groups below first and accepts what is gone", async () => {
  using fs = tree({});
  Deno.mkdirSync(`${fs.root}/a/b/c`, { recursive: true });
  await removeCgroup(`${fs.root}/a`);
  await removeCgroup(`${fs.root}/a`);
  assert.deepEqual([...Deno.readDirSync(fs.root)], []);
});

Deno.test("removeEmptyCgroup() removes what is empty, and accepts what is gone", () => {
  using fs = tree({});
  Deno.mkdirSync(`${fs.root}/a`);
  assert.ok(removeEmptyCgroup(`${fs.root}/a`));
  assert.ok(removeEmptyCgroup(`${fs.root}/a`));
  assert.deepEqual([...Deno.readDirSync(fs.root)], []);
  assert.throws(() => removeEmptyCgroup("/proc/self"), /Cannot remove cgroup "\/proc\/self"/);
});

Deno.test.each([
  {
    files: ["/cg/pids/a/tasks", "/cg/unified/a/cgroup.procs"],
    cloneInto: "/cg/unified/a",
    left: ["/cg/pids/a/tasks"],
  },
  { files: ["/cg/a/cgroup.procs"], cloneInto: "/cg/a", left: [] },
  { files: ["/cg/pids/a/tasks"], cloneInto: undefined, left: ["/cg/pids/a/tasks"] },
])("cgroupJoinTarget($files) lets a child be born in $cloneInto", ({ files, cloneInto, left }) => {
  assert.deepEqual(cgroupJoinTarget(files), { cloneInto, files: left });
});

Deno.test("killCgroup() of an empty cgroup returns at once", async () => {
  using fs = tree({ "a/cgroup.procs": "" });
  await killCgroup(`${fs.root}/a`);
});
