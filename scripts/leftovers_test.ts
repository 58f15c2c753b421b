import assert from "node:assert/strict";
import { added, leftovers, RUN_MARK } from "./leftovers.ts";

Deno.test("leftovers() finds a directory that a test forgot, and added() tells it from what was there", async () => {
  const before = leftovers();
  const forgotten = await Deno.makeTempDir({ prefix: "kata-leftovers-", dir: "/tmp" });
  try {
    assert.ok(added(before, leftovers()).includes(`file ${forgotten}`));
  } finally {
    await Deno.remove(forgotten);
  }
  assert.ok(!leftovers().includes(`file ${forgotten}`));
});

Deno.test("tests: leftovers() of a run counts what the run has started, and nobody else's QEMU", async () => {
  const mark = crypto.randomUUID();
  const sleeper = (env: Record<string, string>) =>
    new Deno.Command("bash", { args: ["-c", "exec -a /usr/bin/qemu-system-x86_64 sleep 1000"], env }).spawn();
  await using stack = new AsyncDisposableStack();
  const [ours, theirs] = [{ [RUN_MARK]: mark }, { [RUN_MARK]: "another" }].map((env) => {
    const child = sleeper(env);
    stack.defer(async () => {
      child.kill("SIGKILL");
      await child.status;
    });
    return child.pid;
  });
  const lines = () => leftovers(mark).filter((line) => line.startsWith("process "));
  while (lines().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(lines()[0]!.startsWith(`process ${ours}: `));
  assert.ok(!lines().some((line) => line.startsWith(`process ${theirs}: `)));
});
