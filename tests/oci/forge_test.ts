/** Lies that a container tells in the place of a process that the runtime makes beside it, with the right to trace. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { MESSAGES } from "../../src/oci/init/channel.ts";
import { Box } from "./runtime.ts";
import { createBeside } from "./spy_start.ts";
import { testEach } from "./suite.ts";

testEach(
  ["scope", "maps", "copyUp", "hooks", "suspend", "listener", "heldListener", "stage2"].map((message) => ({ message })),
)("F4: forged: $message, said in the place of a process that is made beside, gives no help", async ({ message }) => {
  await using box = new Box();
  const neighbour = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, neighbour);
  const { pid } = await box.state(neighbour);
  box.spec.linux.namespaces.find(({ type }: { type: string }) => type === "pid").path = `/proc/${pid}/ns/pid`;
  box.spec.linux.cgroupsPath += "-beside";
  // So that nobody but the process itself appears.
  const proc = { destination: "/proc", type: "bind", source: "/proc", options: ["rbind"] };
  box.spec.mounts = box.spec.mounts.map((one: { type: string }) => one.type === "proc" ? proc : one);
  const hook = { path: "/bin/sh", args: ["sh", "-c", `cat >/dev/null; echo ran >>${box.dir}/ran`] };
  box.spec.hooks = { createRuntime: [hook] };
  box.save();
  const letter = MESSAGES[message as keyof typeof MESSAGES];
  // It may come too late.
  for (let left = 60;; left--) {
    assert.ok(left > 0, "never in time");
    if (exists(`${box.dir}/ran`)) Deno.removeSync(`${box.dir}/ran`);
    const { said, result: { code, stderr } } = await createBeside(box, { pid, program: "forge.ts", args: [letter] });
    if (!/^forged$/m.test(said)) continue;
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`it was tampered with, and says .?"${message}.?"`));
    assert.equal(Deno.readTextFileSync(`${box.dir}/ran`), "ran\n");
    break;
  }
});
