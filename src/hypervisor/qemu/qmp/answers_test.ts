import assert from "node:assert/strict";
import { cpuSockets, cpuThreads, fdSet, processorState, qemuVersion, runState } from "./answers.ts";

const SOCKET = { type: "cpu", props: { "socket-id": 1 } };

Deno.test("cpuSockets() tells the free ones from those in use", () => {
  assert.deepEqual(cpuSockets([SOCKET, { ...SOCKET, "qom-path": "/machine/x" }]).map(({ isFree }) => isFree), [
    true,
    false,
  ]);
});

Deno.test.each<{ answer: unknown }>([
  { answer: null },
  { answer: {} },
  { answer: [null] },
  { answer: [{ ...SOCKET, type: 1 }] },
  { answer: [{ type: "cpu" }] },
  { answer: [{ ...SOCKET, props: { "socket-id": null } }] },
  { answer: [{ ...SOCKET, props: { "socket-id": { deep: {} } } }] },
])("cpuSockets() refuses $answer", ({ answer }) => {
  assert.throws(() => cpuSockets(answer), /^TypeError: Cannot use what QEMU answers/);
});

Deno.test("cpuThreads() gives threads of the process alone, and refuses what is no list of vCPUs", () => {
  const named = [Deno.pid, 1, "1", null, -1].map((thread) => ({ "thread-id": thread }));
  assert.deepEqual(cpuThreads(named, Deno.pid), [Deno.pid]);
  for (const answer of [null, {}, [null]]) assert.throws(() => cpuThreads(answer, Deno.pid), /no list of vCPUs/);
});

Deno.test("fdSet() refuses an answer without a number", () => {
  assert.equal(fdSet({ "fdset-id": 7, fd: 42 }), 7);
  for (const answer of [null, {}, { "fdset-id": "7" }, { "fdset-id": NaN }]) {
    assert.throws(() => fdSet(answer), /names no set/);
  }
});

Deno.test("versions V1: qemuVersion() is what the greeting says, and nothing if it says none", () => {
  assert.deepEqual(qemuVersion({ version: { qemu: { major: 11, minor: 1, micro: 3 }, package: "" } }), {
    major: 11,
    minor: 1,
  });
  const strange = [null, {}, { version: null }, { version: {} }, { version: { qemu: { major: "7", minor: 2 } } }];
  for (const greeting of strange) assert.equal(qemuVersion(greeting), undefined);
});

Deno.test("kvm M7: runState() and processorState() take one word and one number, of both architectures, and no other text", () => {
  assert.equal(runState({ status: "internal-error", running: false }), "internal-error");
  for (const answer of [null, {}, { status: 1 }, { status: "running\n" }, { status: "a".repeat(41) }]) {
    assert.throws(() => runState(answer), /names no state/);
  }
  const x86 = "CPU#0\r\nRAX=0 RIP=ffffffff810758b2 RFL=12 HLT=1\r\n";
  assert.deepEqual(processorState(x86), { pointer: "ffffffff810758b2", isHalted: true });
  assert.deepEqual(processorState("CPU#0\r\n PC=ffff800008010000 X00=0"), {
    pointer: "ffff800008010000",
    isHalted: false,
  });
  for (const answer of [null, {}, "", "RIP=evil"]) {
    assert.throws(() => processorState(answer), /no instruction pointer/);
  }
});
