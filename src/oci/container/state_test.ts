import assert from "node:assert/strict";
import { makeFifo } from "../../linux/io/fifo.ts";
import { checkAllowed, StateDirectory, type Status, type StoredState } from "./state.ts";

function directory(): Disposable & { root: string; state: StateDirectory } {
  const root = Deno.makeTempDirSync();
  return {
    root,
    state: new StateDirectory(`${root}/deep/state`, "c1"),
    [Symbol.dispose]: () => Deno.removeSync(root, { recursive: true }),
  };
}

const stored: StoredState = {
  id: "c1",
  pid: 7,
  startTime: 12345,
  bundle: "/b",
  rootfs: "/b/rootfs",
  created: "2026-01-01T00:00:00.000Z",
  cgroupPath: "c1",
  noNewKeyring: false,
  spec: { ociVersion: "1.2.0" },
};

Deno.test("StateDirectory.create() takes an id once, for root only", () => {
  using made = directory();
  made.state.create();
  assert.equal(Deno.statSync(made.state.path).mode! & 0o777, 0o700);
  assert.throws(() => made.state.create(), { code: "ALREADY_EXISTS" });
});

Deno.test("StateDirectory.read() gives back what was written, whole", () => {
  using made = directory();
  made.state.create();
  made.state.write(stored);
  made.state.write({ ...stored, startTime: 2n ** 60n });
  assert.deepEqual(made.state.read(), { ...stored, startTime: 2n ** 60n });
  assert.deepEqual([...Deno.readDirSync(made.state.path)].map(({ name }) => name), ["state.json"]);
});

Deno.test.each<{ name: string; value: unknown }>([
  { name: "is no object", value: [] },
  { name: "has no spec", value: { ...stored, spec: undefined } },
  { name: "has no start time", value: { ...stored, startTime: undefined } },
  { name: "has a start time that is no number", value: { ...stored, startTime: "1,,2" } },
  { name: "has a pid that is no number", value: { ...stored, pid: "7" } },
  { name: "has an id that is no text", value: { ...stored, id: 1 } },
  { name: "has a scope without text", value: { ...stored, scope: { unit: 1 } } },
])("StateDirectory.read() refuses a state that $name", ({ value }) => {
  using made = directory();
  made.state.create();
  Deno.writeTextFileSync(`${made.state.path}/state.json`, JSON.stringify(value));
  assert.throws(() => made.state.read(), (error: Error) => {
    assert.match(String(error.cause), /^TypeError: Cannot use /);
    return true;
  });
});

Deno.test("StateDirectory.read() of nothing is NOT_FOUND, in the words that engines know", () => {
  using made = directory();
  assert.throws(() => made.state.read(), { code: "NOT_FOUND", message: /container does not exist/ });
  assert.equal(made.state.stage(), "running");
  made.state.remove();
});

Deno.test("StateDirectory.stage() tells a container that is being made from one that waits, and both from one that runs", () => {
  using made = directory();
  made.state.create();
  makeFifo(made.state.earlyFifo, 0o600);
  assert.equal(made.state.stage(), "creating");
  made.state.finish();
  assert.equal(made.state.stage(), "created");
  made.state.removeExecFifo();
  assert.equal(made.state.stage(), "running");
});

Deno.test.each<{ operation: Parameters<typeof checkAllowed>[0]; status: Status; words: RegExp }>([
  { operation: "exec", status: "creating", words: /Cannot exec container "c1": it is creating/ },
  { operation: "start", status: "creating", words: /it is creating/ },
  { operation: "kill", status: "stopped", words: /container not running$/ },
  { operation: "start", status: "running", words: /Cannot start container "c1": it is running/ },
  { operation: "exec", status: "paused", words: /it is paused/ },
  { operation: "delete", status: "running", words: /it is running/ },
  { operation: "resume", status: "running", words: /it is running/ },
])("checkAllowed() refuses to $operation when $status", ({ operation, status, words }) => {
  assert.throws(() => checkAllowed(operation, { id: "c1", status }), { code: "FAILED_PRECONDITION", message: words });
});

Deno.test("checkAllowed() lets a created container start, run others and be killed", () => {
  for (const operation of ["start", "exec", "kill", "delete"] as const) {
    checkAllowed(operation, { id: "c1", status: "created" });
  }
});

Deno.test("StateDirectory is that of one container: another one of its id, made since, is not touched", async () => {
  using made = directory();
  const { state: old } = made;
  old.create();
  old.write(stored);
  const known = new StateDirectory(old.path.replace(/\/c1$/, ""), "c1");
  known.read();
  Deno.removeSync(old.path, { recursive: true });
  assert.deepEqual([old.exists(), old.isReplaced()], [false, false]);
  const other = new StateDirectory(old.path.replace(/\/c1$/, ""), "c1");
  other.create();
  for (const one of [old, known]) {
    assert.deepEqual([one.exists(), one.isReplaced()], [false, true]);
    await assert.rejects(one.lock(), { code: "NOT_FOUND" });
    one.remove();
  }
  assert.ok(other.exists());
});
