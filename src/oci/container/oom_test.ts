import assert from "node:assert/strict";
import { FakeCgroup } from "../cgroup/testing/fake_cgroup.ts";
import { watchOomV2 } from "./oom.ts";

function write(cgroup: FakeCgroup, name: string, text: string): void {
  Deno.writeTextFileSync(`${cgroup.path}/${name}`, text);
}

Deno.test("watchOomV2() yields when the count of kills has grown, and ends with the last process", async () => {
  using cgroup = new FakeCgroup({ "memory.events": "oom 0\noom_kill 0\n", "cgroup.events": "populated 1\nfrozen 0\n" });
  const events = watchOomV2(cgroup.path, { signal: AbortSignal.timeout(5_000) });
  const first = events.next();
  write(cgroup, "memory.events", "oom 1\noom_kill 0\n");
  write(cgroup, "memory.events", "oom 1\noom_kill 2\n");
  assert.ok(!(await first).done);
  const end = events.next();
  write(cgroup, "cgroup.events", "populated 0\nfrozen 0\n");
  assert.ok((await end).done);
});

Deno.test("watchOomV2() counts a kill that comes with the end", async () => {
  using cgroup = new FakeCgroup({ "memory.events": "oom_kill 0\n", "cgroup.events": "populated 1\n" });
  const events = watchOomV2(cgroup.path, { signal: AbortSignal.timeout(5_000) });
  const first = events.next();
  write(cgroup, "memory.events", "oom_kill 1\n");
  write(cgroup, "cgroup.events", "populated 0\n");
  assert.ok(!(await first).done);
  assert.ok((await events.next()).done);
});

Deno.test("watchOomV2() ends by its signal", async () => {
  using cgroup = new FakeCgroup({ "memory.events": "oom_kill 0\n", "cgroup.events": "populated 1\n" });
  const stop = new AbortController();
  const next = watchOomV2(cgroup.path, stop).next();
  stop.abort(new Error("enough"));
  await assert.rejects(next, /enough/);
});
