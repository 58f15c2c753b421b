import assert from "node:assert/strict";
import { parseSubCgroups, subCgroupFiles } from "./sub_cgroup.ts";

const paths = { cpu: "/c/cpu,cpuacct/x", cpuacct: "/c/cpu,cpuacct/x", memory: "/c/memory/x" };

Deno.test.each([
  { values: ["worker"], files: ["/c/cpu,cpuacct/x/worker/tasks", "/c/memory/x/worker/tasks"] },
  { values: ["/"], files: ["/c/cpu,cpuacct/x/tasks", "/c/memory/x/tasks"] },
  { values: ["cpu,cpuacct:/a/b"], files: ["/c/cpu,cpuacct/x/a/b/tasks", "/c/memory/x/tasks"] },
  { values: ["memory:m"], files: ["/c/cpu,cpuacct/x/tasks", "/c/memory/x/m/tasks"] },
])("subCgroupFiles() of $values", ({ values, files }) => {
  assert.deepEqual(subCgroupFiles({ paths }, parseSubCgroups(values)), files);
});

Deno.test("subCgroupFiles() of v2 is one file", () => {
  assert.deepEqual(subCgroupFiles({ paths: { "": "/c/x" } }, parseSubCgroups(["w"])), ["/c/x/w/cgroup.procs"]);
});

Deno.test.each([{ values: ["a", "b"] }, { values: ["cpu:a", "cpu:b"] }, { values: ["memory:a", "b"] }, {
  values: ["pids:a"],
}, {
  values: ["../up"],
}])(
  "--cgroup $values is refused",
  ({ values }) => assert.throws(() => subCgroupFiles({ paths }, parseSubCgroups(values)), RangeError),
);
