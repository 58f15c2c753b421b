/** Attacks of a container on the process that opens a proc among its own, with the right to trace. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { Box, eventually, type Result } from "./runtime.ts";
import { spawnInside } from "./spy_start.ts";
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
  for (let left = 20; !isExchanged; left--) {
    assert.ok(left > 0, "never in time");
    const { said, result: { code, stderr } } = await createBeside(box, pid);
    isExchanged = /^exchanged [1-9]/m.test(said);
    if (!isExchanged) continue;
    assert.doesNotMatch(said, /^found/m);
    assert.equal(code, 1);
    assert.match(stderr, /Cannot mount proc on .{1,2}\/proc.*: what opened it was tampered with/);
    assert.ok(!exists(`${box.dir}/ran`), "a hook ran beside another file system");
  }
});

/** @returns What the attacker said, and how the container was made. */
async function createBeside(box: Box, pid: number): Promise<{ said: string; result: Result }> {
  let said = "";
  // It takes any option, as older kinds do.
  const attacker = spawnInside(pid, { program: "exchange.ts", args: ["ramfs", `${box.bundle}/config.json`] });
  const reading = (async () => {
    for await (const text of attacker.stdout.pipeThrough(new TextDecoderStream())) said += text;
  })();
  await eventually(() => said.includes("ready"));
  const id = box.id();
  const result = await box.call(["create", "--bundle", box.bundle, id]);
  await reading;
  await attacker.stdin.close();
  await attacker.status;
  if (result.code === 0) {
    await box.ok("delete", "--force", id);
    Deno.removeSync(`${box.dir}/ran`);
  }
  return { said, result };
}
