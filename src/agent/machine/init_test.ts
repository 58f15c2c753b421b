import assert from "node:assert/strict";
import { enabledControllers } from "./init.ts";

Deno.test("enabledControllers() takes those that are on and that version 1 has", () => {
  const text =
    "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t2\t1\t1\nmemory\t0\t1\t0\nmisc\t3\t1\t1\npids\t4\t1\t1\n";
  assert.deepEqual(enabledControllers(text), ["cpu", "pids"]);
});
