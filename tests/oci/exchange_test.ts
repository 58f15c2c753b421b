/** Attacks of a container on the process that opens a proc among its own, with the right to trace. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { Box } from "./runtime.ts";
import { createBeside } from "./spy_start.ts";
import { test } from "./suite.ts";

test("runk 47: nothing but a proc is mounted for one, whatever the process that opens it was made to open, and no way leads up from it", async () => {
  await using box = new Box();
  const neighbour = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, neighbour);
  const { pid } = await box.state(neighbour);
  const hook = { path: "/bin/sh", args: ["sh", "-c", `cat >/dev/null; : >${box.dir}/ran`] };
  box.spec.hooks = { createRuntime: [hook] };
  box.spec.linux.namespaces.find(({ type }: { type: string }) => type === "pid").path = `/proc/${pid}/ns/pid`;
  box.spec.linux.cgroupsPath += "-beside";
  box.save();
  // It may come too late.
  let isExchanged = false;
  for (let left = 60; !isExchanged; left--) {
    assert.ok(left > 0, "never in time");
    if (exists(`${box.dir}/ran`)) Deno.removeSync(`${box.dir}/ran`);
    // It takes any option, as older kinds do.
    const attacker = { program: "exchange.ts", args: ["ramfs", `${box.bundle}/config.json`] };
    const { said, result: { code, stderr }, mounts } = await createBeside(box, { pid, ...attacker });
    isExchanged = /^exchanged [1-9]/m.test(said);
    if (!isExchanged) continue;
    assert.doesNotMatch(said, /^found/m);
    if (code === 0) {
      // It was stopped when it had made its proc already: what it has is one.
      assert.match(mounts, / \/proc [^\n]* - proc /);
      isExchanged = false;
      continue;
    }
    assert.equal(code, 1);
    assert.match(stderr, /Cannot mount proc on .{1,2}\/proc.*: what opened it was tampered with/);
    assert.ok(!exists(`${box.dir}/ran`), "a hook ran beside another file system");
  }
});
