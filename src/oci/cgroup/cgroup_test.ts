import assert from "node:assert/strict";
import type { CgroupLayout } from "../../linux/cgroup/cgroup.ts";
import { openCgroup } from "./open.ts";
import { cgroupPath } from "./cgroup.ts";

Deno.test.each([
  { path: "/kubepods/pod1/c1", expected: "kubepods/pod1/c1" },
  { path: "relative/c1", expected: "relative/c1" },
  { path: "system.slice:docker:c1", expected: "system.slice/docker/c1" },
  { path: "//a/./b/", expected: "a/b" },
  { path: undefined, expected: "id" },
  { path: "/", expected: "id" },
])("B3: cgroupPath($path) is $expected, below the root of the hierarchy", ({ path, expected }) => {
  assert.equal(cgroupPath(path, "id"), expected);
});

Deno.test("cgroupPath() refuses to leave the hierarchy", () => {
  assert.throws(() => cgroupPath("/a/../../b", "id"), RangeError);
});

const hybrid: CgroupLayout = {
  mode: "hybrid",
  root: "/cg",
  unified: "/cg/unified",
  v1: new Map([["cpu", "/cg/cpu,cpuacct"], ["cpuacct", "/cg/cpu,cpuacct"], ["memory", "/cg/memory"]]),
  unifiedControllers: new Set(),
};

Deno.test("openCgroup() takes a directory in every hierarchy of a hybrid machine, each once", () => {
  const cgroup = openCgroup(hybrid, "a/b");
  assert.deepEqual(cgroup.paths, {
    cpu: "/cg/cpu,cpuacct/a/b",
    cpuacct: "/cg/cpu,cpuacct/a/b",
    memory: "/cg/memory/a/b",
    "": "/cg/unified/a/b",
  });
  assert.deepEqual(cgroup.procsFiles(), [
    "/cg/cpu,cpuacct/a/b/tasks",
    "/cg/memory/a/b/tasks",
    "/cg/unified/a/b/cgroup.procs",
  ]);
  assert.equal(cgroup.memoryPath, "/cg/memory/a/b");
});

Deno.test("openCgroup() on v1 refuses a limit that no controller can hold", () => {
  assert.throws(() => openCgroup(hybrid, "a").apply({ pids: { limit: 5 } }), /no cgroup controller "pids"/);
});

Deno.test("openCgroup() on v2 takes one directory, and refuses unified files elsewhere", () => {
  const cgroup = openCgroup({ ...hybrid, mode: "v2", v1: new Map() }, "a/b");
  assert.deepEqual(cgroup.paths, { "": "/cg/a/b" });
  assert.throws(() => cgroup.apply({ unified: { "../cgroup.procs": "1" } }), /a file name has no slash/);
});
