import assert from "node:assert/strict";
import { createLogger } from "../base/log.ts";
import { SHARED_TAG } from "../agent_api/names.ts";
import { vmFiles } from "../hypervisor/common/vm_files.ts";
import { vhostVsockSockets } from "../hypervisor/common/vhost_vsock.ts";
import { makeRunDir, readState, rewriteState, writeState } from "./persist.ts";

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

Deno.test("F17: an id of 76 characters, which containerd allows, leaves room for sockets in /run/kata", () => {
  const runDir = `/run/kata/${"x".repeat(76)}`;
  for (const path of [vmFiles(runDir).share(SHARED_TAG), ...Object.values(vhostVsockSockets(runDir))]) {
    assert.ok(path.length <= 107, path);
  }
});

Deno.test("makeRunDir() refuses an id that is too long for its root, and says how long one may be", () => {
  const root = Deno.makeTempDirSync();
  try {
    const most = 107 - "/fs-kataShared.sock".length - root.length - 1;
    makeRunDir(root, "x".repeat(most));
    assert.throws(() => makeRunDir(root, "y".repeat(most + 1)), {
      code: "INVALID_ARGUMENT",
      message: new RegExp(`: an id in "${root}" has at most ${most} characters$`),
    });
    assert.deepEqual([...Deno.readDirSync(root)].map(({ name }) => name), ["x".repeat(most)]);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("F5: makeRunDir() makes no directory elsewhere, and none where others can change it", () => {
  const root = Deno.makeTempDirSync();
  try {
    for (const id of ["../x", "a/b", "..", "", "."]) {
      assert.throws(() => makeRunDir(`${root}/run`, id), { code: "INVALID_ARGUMENT" });
    }
    Deno.chmodSync(root, 0o777);
    assert.throws(() => makeRunDir(`${root}/run`, "s1"), {
      code: "PERMISSION_DENIED",
      message: 'Cannot create sandbox "s1"',
    });
    assert.throws(() => Deno.statSync(`${root}/run/s1`), Deno.errors.NotFound);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});
