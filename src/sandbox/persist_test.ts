import assert from "node:assert/strict";
import { createLogger } from "../base/log.ts";
import { readState, rewriteState, writeState } from "./persist.ts";

const STATE = {
  id: "s1",
  namespace: "default",
  address: "unix:///s",
  shim: { pid: 1, startTime: "2" },
  cgroups: ["/sys/fs/cgroup/memory/default/s1"],
  containers: [{ id: "s1", bundle: "/b" }],
};

Deno.test("readState() returns what writeState() wrote, and nothing where there is none or half of one", () => {
  const runDir = Deno.makeTempDirSync();
  try {
    assert.equal(readState(runDir), undefined);
    writeState(runDir, STATE);
    assert.deepEqual(readState(runDir), STATE);
    Deno.writeTextFileSync(`${runDir}/state.json`, '{"id":');
    assert.equal(readState(runDir), undefined);
  } finally {
    Deno.removeSync(runDir, { recursive: true });
  }
});

Deno.test("rewriteState() only logs what it cannot write, where writeState() fails", () => {
  const lines: string[] = [];
  rewriteState("/no/such", STATE, createLogger({ sink: (line) => lines.push(line) }));
  assert.match(lines.join("\n"), /Cannot note which containers there are.*No such file/);
  assert.throws(() => writeState("/no/such", STATE), { message: 'Cannot write the state of sandbox "s1"' });
});
