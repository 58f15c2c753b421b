import assert from "node:assert/strict";
import { readState, writeState } from "./persist.ts";

Deno.test("readState() returns what writeState() wrote, and nothing where there is none or half of one", () => {
  const runDir = Deno.makeTempDirSync();
  try {
    assert.equal(readState(runDir), undefined);
    const state = {
      id: "s1",
      namespace: "default",
      address: "unix:///s",
      shim: { pid: 1, startTime: "2" },
      cgroups: ["/sys/fs/cgroup/memory/default/s1"],
      containers: [{ id: "s1", bundle: "/b" }],
    };
    writeState(runDir, state);
    assert.deepEqual(readState(runDir), state);
    Deno.writeTextFileSync(`${runDir}/state.json`, '{"id":');
    assert.equal(readState(runDir), undefined);
  } finally {
    Deno.removeSync(runDir, { recursive: true });
  }
});
